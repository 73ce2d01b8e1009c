#!/usr/bin/env bash
# The steps of every task, once. bootstrap.sh and build.ps1 both walk this list:
#   steps.sh --list TASK     the steps of a task, one a line
#   steps.sh STEP [--long]   runs one of them
# A step whose inputs have not changed since it last succeeded does nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$PWD

steps_of() {
    local build="tools helper module"
    case $1 in
        build) echo $build ready ;;
        demo)  echo $build samples demo ;;
        test)  echo $build samples tests clear-results test-units test-runtime test-pester summary ;;
        bench) echo $build bench ;;
        soak)  echo $build soak ;;
        pack)  echo $build pack ;;
        vm)    echo tools helper tests vm ;;
        *) echo "unknown task '$1': build, demo, test, bench, soak, pack, vm" >&2; return 2 ;;
    esac
}

# ---- where things go: nothing is written outside the clone ----------------------------------------------------------------

case $(uname -m) in
    x86_64) rid=linux-x64 ;;
    aarch64) rid=linux-arm64 ;;
    *) echo "no native helper for $(uname -m): x86_64 and aarch64 are supported" >&2; exit 1 ;;
esac
module=$root/out/Containers
# a folder for each run, so that two in one clone do not meet
results=${CONTAINERS_RESULTS:-$root/.build/results/last}
stamps=$root/.build/stamps
long=${CONTAINERS_TEST_LONG:-}

export DOTNET_CLI_HOME=$root/.tools/home DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_CLI_WORKLOAD_UPDATE_NOTIFY_DISABLE=1
export DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1 DOTNET_GENERATE_ASPNET_CERTIFICATE=false DOTNET_ADD_GLOBAL_TOOLS_TO_PATH=0
export NUGET_PACKAGES=$root/.tools/nuget NUGET_HTTP_CACHE_PATH=$root/.tools/nuget-http
export NUGET_PLUGINS_CACHE_PATH=$root/.tools/nuget-plugins NUGET_SCRATCH=$root/.tools/nuget-scratch
export POWERSHELL_TELEMETRY_OPTOUT=1 POWERSHELL_UPDATECHECK=Off
[ -x "$root/.tools/dotnet/dotnet" ] && export DOTNET_ROOT=$root/.tools/dotnet PATH=$root/.tools/dotnet:$PATH

find_pwsh() {
    # A way to see what happens without it.
    [ -n "${CONTAINERS_NO_PWSH:-}" ] && return 1
    command -v pwsh && return
    [ -x "$root/.tools/pwsh" ] && echo "$root/.tools/pwsh"
}

say() { printf '%s\n' "$*"; }

# ---- stamps ----------------------------------------------------------------------------------------------------------------

# fingerprint PATH…: one word for the content of all files below the paths, and for the SDK that compiles them
fingerprint() {
    {
        readlink -f "$(command -v dotnet)" && ls "$(dirname "$(readlink -f "$(command -v dotnet)")")/sdk"
        find "$@" \( -name bin -o -name obj -o -name TestResults \) -prune -o -type f -print0 |
            sort -z | xargs -0 -r sha256sum
    } | sha256sum | cut -d' ' -f1
}

# up_to_date NAME FINGERPRINT OUTPUT: whether NAME was last done with this fingerprint and its output still stands
up_to_date() { [ -e "$3" ] && [ "$(cat "$stamps/$1" 2>/dev/null)" = "$2" ]; }
stamp() { mkdir -p "$stamps" && printf '%s\n' "$2" >"$stamps/$1"; }

# No resident build servers: what a build starts ends with it. Its words matter when it fails.
quiet_dotnet() {
    local verb=$1; shift
    local log=$root/.build/dotnet.log
    dotnet "$verb" "$@" -c Release -v q -clp:NoSummary --nologo -nodeReuse:false -p:UseSharedCompilation=false >"$log" 2>&1 ||
        { cat "$log"; return 1; }
}

common="Directory.Build.props Directory.Packages.props BannedSymbols.txt .editorconfig global.json steps.sh"

# ---- tools ---------------------------------------------------------------------------------------------------------------

# command, or an absolute path that must exist : Debian's package : Fedora's package : what it is for
wanted="
gcc:gcc:gcc:links psrun and checks constants against the C headers
/usr/include/string.h:libc6-dev:glibc-devel:links psrun and checks constants against the C headers
/usr/include/zlib.h:zlib1g-dev:zlib-devel:links psrun
busybox:busybox-static:busybox:is the small root of demo and tests
runc:runc:runc:is compared with in tests and bench
crun:crun:crun:is compared with in tests and bench
strace:strace:strace:counts system calls in tests
umoci:umoci:umoci:writes bundles for tests, and is what unpacked images are compared with
skopeo:skopeo:skopeo:reads and writes images in tests
docker-registry:docker-registry::is the registry of tests
getfattr:attr:attr:compares extended attributes in tests
zstd:zstd:zstd:compresses layers for tests
mkfs.btrfs:btrfs-progs:btrfs-progs:makes the file system on which snapshots of btrfs are tested
podman:podman:podman:is what our defaults are compared with
"

step_tools() {
    local missing_debian="" missing_fedora="" told="" probe debian fedora why
    while IFS=: read -r probe debian fedora why; do
        [ -n "$probe" ] || continue
        case $probe in
            /*) [ -e "$probe" ] && continue ;;
            *) PATH=$PATH:/usr/sbin:/sbin command -v "$probe" >/dev/null && continue ;;
        esac
        missing_debian+=" $debian"; missing_fedora+=" $fedora"; told+="  $debian ($why)"$'\n'
    done <<<"$wanted"
    if [ -n "$missing_debian" ]; then install_packages "$missing_debian" "$missing_fedora" "$told"; fi

    local sdks; sdks=$(dotnet --list-sdks 2>/dev/null || true)
    if ! grep -qE '^1[0-9]\.' <<<"$sdks"; then install_sdk; fi

    # NuGet looks for the user's feeds below DOTNET_CLI_HOME, which is the clone's here: lend it the user's own.
    mkdir -p "$DOTNET_CLI_HOME/.nuget/NuGet"
    if [ -f "$HOME/.nuget/NuGet/NuGet.Config" ]; then
        cp -up "$HOME/.nuget/NuGet/NuGet.Config" "$DOTNET_CLI_HOME/.nuget/NuGet/NuGet.Config"
    fi

    if ! find_pwsh >/dev/null && [ -z "${CONTAINERS_NO_PWSH:-}" ]; then install_pwsh; fi
    if [ "$(id -u)" != 0 ]; then
        say "not root: building, packing and unit tests work; demo, bench and the tests against the kernel need root"
    fi
}

install_packages() {
    if [ "$(id -u)" != 0 ]; then
        printf 'not root, so these packages are left for you to install:\n%s' "$3" >&2
    elif command -v apt-get >/dev/null; then
        say "installing:$1"
        export DEBIAN_FRONTEND=noninteractive
        { apt-get install -y -q --no-install-recommends $1 || { apt-get update -q && apt-get install -y -q --no-install-recommends $1; }; } \
            >"$root/.build/packages.log" 2>&1 || packages_failed "$1" "$3"
    elif command -v dnf >/dev/null; then
        say "installing:$2"
        dnf install -y -q $2 >"$root/.build/packages.log" 2>&1 || packages_failed "$2" "$3"
    else
        printf 'neither apt-get nor dnf is here; install these yourself:\n%s' "$3" >&2
    fi
}

# Peers are wanted, the compiler is needed: go on one by one, and let the build say what it cannot do without.
packages_failed() {
    local package
    for package in $1; do
        if command -v apt-get >/dev/null; then apt-get install -y -q --no-install-recommends "$package"
        else dnf install -y -q "$package"; fi >>"$root/.build/packages.log" 2>&1 || say "could not install $package (see .build/packages.log)"
    done
}

install_sdk() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-cache show dotnet-sdk-10.0 >/dev/null 2>&1; then
        say "installing: dotnet-sdk-10.0"
        apt-get install -y -q dotnet-sdk-10.0 >>"$root/.build/packages.log" 2>&1 && return
    elif [ "$(id -u)" = 0 ] && command -v dnf >/dev/null; then
        say "installing: dotnet-sdk-10.0"
        dnf install -y -q dotnet-sdk-10.0 >>"$root/.build/packages.log" 2>&1 && return
    fi
    cat >&2 <<EOF
The .NET SDK 10 is not here, and no package source of this machine has it. Get it in one of these ways, then run this again:
  - your distribution's package dotnet-sdk-10.0
  - https://dot.net/v1/dotnet-install.sh, with: bash dotnet-install.sh --channel 10.0 --install-dir $root/.tools/dotnet
EOF
    return 1
}

install_pwsh() {
    # Asked at most once a day: a registry without the package makes every start wait otherwise.
    local memo=$stamps/no-pwsh
    if [ -n "$(find "$memo" -mmin -1440 2>/dev/null)" ]; then :
    elif dotnet tool install --tool-path "$root/.tools" PowerShell >"$root/.build/pwsh.log" 2>&1; then return
    else mkdir -p "$stamps"; : >"$memo"; fi
    say "no pwsh on PATH and none to be had as a .NET tool: going on without it (https://aka.ms/powershell)"
}

# ---- build ---------------------------------------------------------------------------------------------------------------

step_helper() {
    local print; print=$(fingerprint $common linux native-helper)
    up_to_date helper "$print" "$root/.build/helper/psrun" && return
    say "building psrun"
    quiet_dotnet publish native-helper/psrun.csproj -r $rid -o .build/helper
    stamp helper "$print"
}

# The module folder is laid anew from its sources each time, so that nothing deleted from them stays in it.
step_module() {
    local print; print=$(fingerprint $common linux engine cmdlets module formats docs/cmdlets Containers.psd1 LICENSE .build/helper/psrun)
    up_to_date module "$print" "$module/Containers.psd1" && return
    say "building the module"
    rm -rf .build/publish
    quiet_dotnet publish cmdlets/Containers.Cmdlets.csproj -r $rid --no-self-contained -o .build/publish
    quiet_dotnet build module/help/Containers.Help.csproj

    local new=$root/out/.Containers.new
    rm -rf "$new"; mkdir -p "$new/bin/third-party" "$new/bin/$rid" "$new/formats" "$new/en-US"
    cp Containers.psd1 module/Containers.psm1 LICENSE "$new/"
    cp formats/*.ps1xml "$new/formats/"
    # Ours are found in bin, everybody else's in bin/third-party: that is how the loader tells them apart.
    cp .build/publish/Containers.*.dll .build/publish/Containers.*.pdb "$new/bin/"
    find .build/publish -maxdepth 1 \( -name '*.dll' -o -name '*.so' \) ! -name 'Containers.*' -exec cp -t "$new/bin/third-party" {} +
    install -m 755 .build/helper/psrun "$new/bin/$rid/psrun"
    dotnet .build/bin/Containers.Help/release/Containers.Help.dll docs/cmdlets "$new/bin/Containers.Cmdlets.dll" "$new/en-US"
    if [ -d docs/about ]; then cp docs/about/*.help.txt "$new/en-US/"; fi
    rm -rf "$module"; mv "$new" "$module"
    stamp module "$print"
}

step_ready() { say "the module is in out/Containers: Import-Module ./out/Containers"; }

step_samples() {
    local print; print=$(fingerprint $common linux engine samples)
    up_to_date samples "$print" "$root/.build/bin/Containers.Samples/release/Containers.Samples.dll" && return
    say "building the samples"
    quiet_dotnet build samples/Containers.Samples.csproj
    stamp samples "$print"
}

step_pack() {
    local version; version=$(sed -n "s/^ *ModuleVersion *= *'\(.*\)'.*/\1/p" Containers.psd1)
    local archive=out/Containers-$version-$rid.tar.gz
    tar -C out --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - Containers | gzip -n9 >"$archive"
    say "$archive ($(stat -c %s "$archive") bytes)"
}

# ---- demo and bench ------------------------------------------------------------------------------------------------------

step_demo() {
    [ "$(id -u)" = 0 ] || { say "the demo makes containers and needs root: sudo ./bootstrap.sh demo" >&2; return 1; }
    local pwsh; pwsh=$(find_pwsh || true)
    # The name marks everything that this demo makes; the counter looks for it.
    local mark=demo-$$ state=$root/.build/state-$$ status=0
    mkdir -p -m 700 "$state"
    if [ -n "$pwsh" ]; then "$pwsh" -NoProfile -File samples/demo.ps1 -ModulePath "$module" -Mark "$mark" -State "$state" || status=$?
    else dotnet .build/bin/Containers.Samples/release/Containers.Samples.dll demo "$module" "$mark" "$state" || status=$?; fi
    sh samples/leftovers.sh "$mark" "$state" || status=1
    rm -rf "$state"
    return $status
}

step_bench() {
    [ "$(id -u)" = 0 ] || { say "bench runs containers and needs root: sudo ./bootstrap.sh bench" >&2; return 1; }
    quiet_dotnet build tests/bench/Containers.Bench.csproj
    CONTAINERS_TEST_LONG=$long dotnet .build/bin/Containers.Bench/release/Containers.Bench.dll "$module" "$(find_pwsh || true)"
    # Of a large image: minutes, and 60 GB for that long; fewer figures and files take less.
    if [ -n "$long" ] && find_pwsh >/dev/null; then dotnet .build/bin/Containers.Bench/release/Containers.Bench.dll "$module" "$(find_pwsh)" "${BENCH_FOLDER:-/var/tmp}" "${BENCH_FIGURES:-all}" "${BENCH_FILES:-100000}"; fi
}

step_soak() {
    [ "$(id -u)" = 0 ] || { say "soak runs containers and needs root: sudo ./bootstrap.sh soak" >&2; return 1; }
    local pwsh; pwsh=$(find_pwsh) || { say "soak needs pwsh" >&2; return 1; }
    "$pwsh" -NoProfile -NonInteractive -File tests/soak/soak.ps1 -ModulePath "$module" -Seconds "${CONTAINERS_SOAK_SECONDS:-600}"
}

# ---- tests ---------------------------------------------------------------------------------------------------------------

step_tests() {
    local print; print=$(fingerprint $common linux engine cmdlets native-helper tests/units tests/runtime docs/runtime-differences.md)
    up_to_date tests "$print" "$root/.build/bin/Containers.Tests.Units/release/Containers.Tests.Units.dll" && return
    say "building the tests"
    quiet_dotnet build tests/units/Containers.Tests.Units.csproj
    quiet_dotnet build tests/runtime/Containers.Tests.Runtime.csproj
    stamp tests "$print"
}

# Not a part of test: it takes an hour.
step_vm() { bash tests/runtime/vm/run.sh .build/vm .build/helper/psrun .build/bin/Containers.Tests.Runtime/release; }

step_clear-results() {
    rm -rf "$results"; mkdir -p "$results"
    find .build/results -mindepth 1 -maxdepth 1 -mmin +1440 -exec rm -rf {} +
}

step_test-units() { xunit_suite units Units; }

step_test-runtime() {
    if [ "$(id -u)" != 0 ]; then skip_suite runtime "$(cat $(find tests/runtime -name '*.cs') | grep -cE '^\s*\[\w*(Fact|Theory)\b' || true)" "needs root"
    else
        xunit_suite runtime Runtime
        # The shim calls any runtime: at full size its tests go over the others as well.
        if [ -n "$long" ]; then
            for peer in runc crun; do
                if command -v $peer >/dev/null; then SHIM_RUNTIME=$peer xunit_suite shim-$peer Runtime --TestCaseFilter:"FullyQualifiedName~Runtime.Shim"; fi
            done
        fi
    fi
}

step_test-pester() {
    local pwsh count; pwsh=$(find_pwsh || true)
    count=$(cat tests/Pester/*.Tests.ps1 2>/dev/null | grep -cE '^\s*It\s' || true)
    if [ -z "$pwsh" ]; then skip_suite Pester "$count" "no pwsh on this machine"; return; fi
    if [ "$(id -u)" != 0 ]; then skip_suite Pester "$count" "needs root"; return; fi
    say "Pester tests"
    CONTAINERS_TEST_LONG=$long "$pwsh" -NoProfile -File tests/Pester/Invoke-Tests.ps1 -ModulePath "$module" -ResultPath "$results" || true
    if [ -f "$results/Pester.skipped" ]; then skip_suite Pester "$count" "$(cat "$results/Pester.skipped")"; return; fi
    [ -f "$results/Pester" ] || { say "the Pester run ended without a result"; echo "0 1 0" >"$results/Pester"; }
    if [ -n "$long" ] && command -v runc >/dev/null; then
        say "Pester tests of tasks over runc"
        mkdir -p "$results/over-runc"
        CONTAINERS_TEST_RUNTIME=runc "$pwsh" -NoProfile -Command "& ./tests/Pester/Invoke-Tests.ps1 -ModulePath '$module' -ResultPath '$results/over-runc' -Path ('Bytes', 'Restart', 'Task', 'Terminal').ForEach{ \"./tests/Pester/\$_.Tests.ps1\" }" || true
        cp "$results/over-runc/Pester" "$results/tasks-runc" || echo "0 1 0" >"$results/tasks-runc"
    fi
}

# xunit_suite NAME PROJECT [OPTION…]: runs it, and keeps "passed failed skipped" in .build/results/NAME
xunit_suite() {
    local name=$1 project=Containers.Tests.$2 status=0 trx=$results/$1.trx
    say "$name tests"
    CONTAINERS_TEST_LONG=$long CONTAINERS_MODULE=$module PSRUN=$module/bin/$rid/psrun CONTAINERS_PSRUN=$module/bin/$rid/psrun \
        dotnet vstest ".build/bin/$project/release/$project.dll" --logger:"trx;LogFileName=$trx" --ResultsDirectory:"$results" \
        --logger:"console;verbosity=minimal" "${@:3}" >"$results/$name.log" 2>&1 || status=$?
    local total=0 executed=0 passed=0
    if [ -f "$trx" ]; then
        local counters; counters=$(grep -oE '<Counters [^>]*>' "$trx" | head -1)
        total=$(attribute total "$counters"); executed=$(attribute executed "$counters"); passed=$(attribute passed "$counters")
    fi
    local failed=$((executed - passed)) skipped=$((total - executed))
    # A host that died says nothing in the counters: its exit status does. A suite that ran nothing has not passed either.
    if [ "$failed" = 0 ] && { [ "$status" != 0 ] || [ "$passed" = 0 ]; }; then failed=1; fi
    if [ "$failed" != 0 ]; then
        grep -E '^  Failed ' "$results/$name.log" || tail -n 50 "$results/$name.log"
        say "  what went wrong: $results/$name.log"
    fi
    echo "$passed $failed $skipped" >"$results/$name"
}

attribute() { local value; value=$(sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" <<<"$2"); echo "${value:-0}"; }

skip_suite() { echo "0 0 $2 $3" >"$results/$1"; }

step_summary() {
    local suite passed failed skipped why all_passed=0 all_failed=0 all_skipped=0
    for suite in units runtime Pester shim-runc shim-crun tasks-runc; do
        case $suite in *-*) [ -f "$results/$suite" ] || continue ;; esac
        read -r passed failed skipped why <"$results/$suite" || { passed=0; failed=1; skipped=0; why="ended without a result"; }
        # laid out so that the closing line alone has its form
        printf '%-10s %5d passed %5d failed %5d skipped%s\n' "$suite" "$passed" "$failed" "$skipped" "${why:+  ($why)}"
        all_passed=$((all_passed + passed)); all_failed=$((all_failed + failed)); all_skipped=$((all_skipped + skipped))
    done
    # nothing is said after this line
    trap - ERR
    say "$all_passed passed, $all_failed failed, $all_skipped skipped"
    [ "$all_failed" = 0 ]
}

# ---- the door ------------------------------------------------------------------------------------------------------------

# Sourced by bootstrap.sh for find_pwsh alone.
[ "${BASH_SOURCE[0]}" = "$0" ] || return 0

if [ "${1:-}" = --list ]; then steps_of "$2" | tr ' ' '\n'; exit; fi
step=${1:?step}; shift
[ "${1:-}" = --long ] && long=1
declare -F "step_$step" >/dev/null || { echo "unknown step '$step'" >&2; exit 2; }
mkdir -p .build .tools
set -E
trap 'echo "step $step ended at line $LINENO of steps.sh with status $?" >&2' ERR
# Two at once in one clone would tear each other's output.
case $step in
    tools | helper | module | samples | tests) exec 9>.build/lock; flock 9 ;;
esac
"step_$step"
