# shellcheck shell=sh
# Sourced by build.sh and environment.sh.

# hed_names FILE: the modules that a file lists, on one line.
hed_names() {
    sed 's/#.*//' "$1" | tr -s '[:space:]' ' ' | sed 's/^ //; s/ $//'
}

# hed_has_modules: whether there is a `module` command; shells that are no login shells lack it.
hed_has_modules() {
    command -v module >/dev/null 2>&1 && return
    for hed_init in "$MODULESHOME/init/sh" /etc/profile.d/lmod.sh /etc/profile.d/modules.sh; do
        # shellcheck disable=SC1090
        [ ! -r "$hed_init" ] || . "$hed_init" >/dev/null 2>&1
        command -v module >/dev/null 2>&1 && return
    done
    return 1
}

# hed_load NAMES: load modules, quietly unless that fails.
hed_load() {
    # shellcheck disable=SC2086
    module load $1 >/dev/null 2>&1 && return
    # shellcheck disable=SC2086
    (module load $1) >&2 || :
    echo "error: no modules '$1' here (see module avail): name today's in" \
        "envs/aurora/modules.txt and run envs/aurora/build.sh" >&2
    return 1
}
