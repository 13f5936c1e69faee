# shellcheck shell=dash
# Sourced by a block (`environment` in profiles/aurora/site.yaml) and by people, in bash; in another
# shell HED_ENVIRONMENT is the path of this file. Prepares the software of a training, as
# build.sh built it: the copy on node-local disk where the block has unpacked one, HED_SOFTWARE in
# HED_LOCAL.

hed_environment() {
    hed_top=$(cd "$(dirname "$1")/../.." && pwd) || return
    hed_built=$HED_SOFTWARE
    [ -n "$hed_built" ] && [ -d "$hed_top/.venv-aurora/$hed_built" ] ||
        hed_built=$(readlink "$hed_top/.venv-aurora/training") ||
        hed_error "there is no software for the trainings yet: run $hed_top/envs/aurora/build.sh" ||
        return
    hed_python=$hed_top/.venv-aurora/$hed_built
    # shellcheck source=envs/aurora/modules.sh
    . "$hed_top/envs/aurora/modules.sh" && hed_prepare "$hed_python/modules.txt" || return

    hed_local=${HED_LOCAL:-/tmp/${USER:-$(id -un)}/hed}
    # Staging makes the list when all is there. Another user's directory is not trusted.
    if [ -e "$hed_local/.hed-staging/$hed_built.json" ] && [ -O "$hed_local/$hed_built" ] &&
        [ -x "$hed_local/$hed_built/bin/python" ]; then
        hed_python=$hed_local/$hed_built
    fi
    [ -x "$hed_python/bin/python" ] ||
        hed_error "$hed_python has no Python that starts: run envs/aurora/build.sh again" || return
    export PATH="$hed_python/bin:$PATH" VIRTUAL_ENV="$hed_python"
    unset PYTHONHOME
    # Packages in ~/.local would come before those that were tested.
    export PYTHONNOUSERSITE=1
    # Names of sockets may have 107 characters; PBS's own TMPDIR is too long.
    export TMPDIR=/tmp
    # Each tile is a device of its own, as ML frameworks want it.
    export ZE_FLAT_DEVICE_HIERARCHY="${ZE_FLAT_DEVICE_HIERARCHY:-FLAT}"
}

# hed_prepare FILE: load the modules over which the environment was built.
hed_prepare() {
    hed_over=$(hed_names "$1")
    [ -n "$hed_over" ] || return 0
    [ "$hed_over" = "$(hed_names "$hed_top/envs/aurora/modules.txt")" ] ||
        hed_error "modules.txt was changed since the software was built over '$hed_over':" \
            "run $hed_top/envs/aurora/build.sh again" || return
    hed_has_modules ||
        hed_error "$(uname -n) has no module command, but the software was built over '$hed_over'" ||
        return
    hed_load "$hed_over"
}

hed_error() {
    echo "error: $*" >&2
    return 1
}

# shellcheck disable=SC3028
if hed_environment "${BASH_SOURCE:-$HED_ENVIRONMENT}"; then hed_status=0; else hed_status=1; fi
unset -f hed_environment hed_prepare hed_error hed_names hed_has_modules hed_load
unset hed_top hed_built hed_over hed_init hed_local hed_python
eval "unset hed_status; return $hed_status"
