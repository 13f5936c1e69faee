#!/bin/bash
# build.sh [PYTHON]: build the software of the workflow and of the trainings; pack the latter.
#
# On a login node, again after each change; what is there already is kept. Needs the package index.
#   .venv                             the workflow's (`make setup`); PYTHON >= 3.11 makes it
#   .venv-aurora/training-DIGEST      the trainings': over the modules of modules.txt, to which it
#                                     adds what they lack; without a `module` command all of
#                                     ../training-tf2.15.lock. It may be moved anywhere.
#   .venv-aurora/training-DIGEST.tar  the same, to be unpacked on every node
#   .venv-aurora/training{,.tar}      links to the current ones
set -eo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(dirname "$(dirname "$here")")
home=$top/.venv-aurora
work=
# A run does not see packages in ~/.local either.
export PYTHONNOUSERSITE=1
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
# shellcheck source=envs/aurora/modules.sh
. "$here/modules.sh"

fail() {
    echo "error: $*" >&2
    exit 1
}

# The Python to build with, and the modules over which it is; of a workflow environment that is
# active here nothing must get into that of the trainings.
choose() {
    names=$(hed_names "$here/modules.txt")
    PATH=${PATH//"${VIRTUAL_ENV:-/nowhere}/bin:"/}
    unset VIRTUAL_ENV
    if [ -n "$names" ] && hed_has_modules; then
        hed_load "$names"
        python=$(command -v python3) || fail "'module load $names' gives no python3"
        "$python" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("tensorflow"))' ||
            fail "$python has no TensorFlow after 'module load $names': mend $here/modules.txt"
        echo "over the modules $names: $python"
    else
        names=
        python=$("$uv" python find --system --no-python-downloads '>=3.10,<3.12') ||
            fail "TensorFlow 2.15 needs Python 3.10 or 3.11: put one on PATH"
        echo "without modules, for CPUs: $python"
    fi
}

digest() {
    {
        cat "$here"/{build.sh,lacking.py,added.in,added.lock} "$here/../training-tf2.15.lock"
        echo "$names" && readlink -f "$python" && "$python" -VV
    } | sha256sum | cut -c 1-12
}

# build DIRECTORY
build() {
    # Its scripts find their Python beside them, wherever it is.
    "$uv" venv --quiet --no-project --relocatable ${names:+--system-site-packages} \
        --python "$python" "$1"
    echo "$names" >"$1/modules.txt"
    local lock=$here/../training-tf2.15.lock
    if [ -n "$names" ]; then
        lock=$1/added.lock
        "$python" "$here/lacking.py" "$here/added.in" "$here/added.lock" >"$lock"
        see_packages "$1"
    fi
    UV_LINK_MODE=copy "$uv" pip install --quiet --no-deps --require-hashes --compile-bytecode \
        --python "$1" --requirement "$lock"
    local imports
    imports=$(sed -n 's/^\([a-z0-9_]\+\).*/\1/p' "$here/added.in" | paste -sd,)
    "$1/bin/python" -c "import $imports" ||
        fail "what was added does not fit ${names:-this Python}: mend $here/added.in"
}

# see_packages DIRECTORY: a module may be a virtual environment, whose own packages an environment
# made with it does not see.
see_packages() {
    PYTHONPATH='' "$python" - "$1" <<'END'
import pathlib, sys, sysconfig
new = pathlib.Path(sys.argv[1], "lib", "python%d.%d" % sys.version_info[:2], "site-packages")
if sys.prefix != sys.base_prefix:
    places = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    lines = ("import site; site.addsitedir(%r)\n" % place for place in places)
    (new / "modules.pth").write_text("".join(lines))
END
}

make -C "$top" --no-print-directory setup ${1:+PYTHON="$1"}
uv=$top/.venv/bin/uv
choose
name=training-$(digest)
mkdir -p "$home"
if [ ! -e "$home/$name.tar" ]; then
    work=$(mktemp -d "$home/.new-XXXXXX")
    build "$work/$name"
    tar -C "$work/$name" -cf "$work/$name.tar" .
    rm -rf "${home:?}/$name"
    mv -T "$work/$name" "$home/$name"
    mv "$work/$name.tar" "$home/$name.tar"
fi
link() {
    ln -sfn "$1" "$home/.$2.$$" && mv -T "$home/.$2.$$" "$home/$2"
}
link "$name" training
link "$name.tar" training.tar
echo "$home/$name.tar: $(du -h --apparent-size "$home/$name.tar" | cut -f 1)"
