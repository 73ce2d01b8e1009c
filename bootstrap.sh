#!/usr/bin/env bash
# From a fresh clone: ./bootstrap.sh build|demo|test [--long]|bench [--long]|soak [--seconds N]|pack|vm
# Finds or installs what the task needs, then hands over to build.ps1 where there is a pwsh, else walks the same steps itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
    cat <<'EOF'
usage: ./bootstrap.sh build         out/Containers, the whole module
       ./bootstrap.sh demo          build, then two containers from first to last, and a count of what they left
       ./bootstrap.sh test [--long] build, then every test; --long runs the long ones at full size
       ./bootstrap.sh bench [--long] build, then our times beside those of runc and crun; --long adds a thousand containers of each
       ./bootstrap.sh soak [--seconds N] build, then random verbs and random kills for ten minutes, or N seconds: no errors, no lies, nothing left; needs pwsh
       ./bootstrap.sh pack          build, then out/Containers-<version>-<platform>.tar.gz
       ./bootstrap.sh vm            the runtime tests in a virtual machine: systemd, and cgroup v2 alone; needs qemu-system-x86_64
EOF
}

task=${1:-}
case $task in
    build | demo | test | bench | soak | pack | vm) shift ;;
    -h | --help | help) usage; exit ;;
    *) usage >&2; exit 2 ;;
esac
options=()
if [ "$task" = soak ] && [ "${1:-}" = --seconds ] && [[ ${2:-} =~ ^[1-9][0-9]*$ ]]; then
    export CONTAINERS_SOAK_SECONDS=$2
    shift 2
fi
for argument; do
    case $task$argument in
        test--long | bench--long) options+=(--long) ;;
        *) usage >&2; exit 2 ;;
    esac
done

export CONTAINERS_RESULTS=$PWD/.build/results/run-$$
bash steps.sh tools
. ./steps.sh
if pwsh=$(find_pwsh); then
    exec "$pwsh" -NoProfile -File build.ps1 -Task "$task" -SkipTools ${options:+-Long}
fi
for step in $(bash steps.sh --list "$task"); do
    [ "$step" = tools ] || bash steps.sh "$step" "${options[@]}"
done
