#!/usr/bin/env bash
# Runs the runtime tests on another kind of host: Debian with its cloud kernel and systemd, and with the v2 tree of control groups alone, in qemu's software emulation.
#   run.sh WORK-FOLDER PSRUN TESTS-FOLDER
# What passes and fails is in WORK-FOLDER/results.trx, what the machine said in WORK-FOLDER/console.log. Ends with one line of counts.
# CONTAINERS_VM_FILTER: a filter of `dotnet vstest` in place of all tests. CONTAINERS_VM_HOURS: when to give up. CONTAINERS_VM_RUNTIME: runc or crun in psrun's place.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
work=$1 psrun=$2 tests=$3
hours=${CONTAINERS_VM_HOURS:-4}

skip() { echo "vm: skipped: $*"; exit 0; }

[ "$(id -u)" = 0 ] || skip "needs root"
[ "$(uname -m)" = x86_64 ] || skip "made for x86_64"
for program in qemu-system-x86_64:qemu-system-x86 mke2fs:e2fsprogs debugfs:e2fsprogs dpkg-deb:dpkg apt-get:apt busybox:busybox-static; do
    PATH=$PATH:/usr/sbin command -v "${program%:*}" >/dev/null || skip "there is no ${program%:*} (Debian's package ${program#*:})"
done
export PATH=$PATH:/usr/sbin

mkdir -p "$work"
work=$(readlink -f "$work")
exec 8>"$work/lock"; flock 8
bash "$here/image.sh" "$work" || skip "Debian's packages cannot be had (see $work/packages.log)"

# The tree is the same for every run; what is tested is laid into it anew.
rm -rf "$work/tree/opt/tests"; cp -a "$tests" "$work/tree/opt/tests"
install -D -m 755 "$psrun" "$work/tree/opt/psrun/psrun"
install -m 755 "$here/inside.sh" "$work/tree/opt/inside.sh"
for file in docs/psrun.8.md native-helper/completion/psrun.bash; do install -D -m 644 "$here/../../../$file" "$work/tree/opt/$file"; done
printf '%s' "${CONTAINERS_VM_FILTER:-FullyQualifiedName!~PodmanTests&FullyQualifiedName!~ContainerdTests&FullyQualifiedName!~DockerTests}" >"$work/tree/opt/filter"
printf '%s' "${CONTAINERS_VM_RUNTIME:-}" >"$work/tree/opt/runtime"
rm -f "$work/disk"
mke2fs -q -t ext4 -d "$work/tree" "$work/disk" 3G

echo "the machine runs; it takes its time without hardware virtualisation ($work/console.log)"
timeout --kill-after=30 "${hours}h" qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 3072 -nographic -no-reboot -nodefaults -serial "file:$work/console.log" \
    -drive "file=$work/disk,if=virtio,format=raw,cache=unsafe" -kernel "$work/kernel" -initrd "$work/initrd" \
    -append "root=/dev/vda rw console=ttyS0 quiet panic=-1 systemd.show_status=false apparmor=1 security=apparmor" </dev/null || true

debugfs -R "dump /opt/results.trx $work/results.trx" "$work/disk" 2>/dev/null
line=$(grep -oE 'vm: [0-9]+ passed, [0-9]+ failed, [0-9]+ skipped.*' "$work/console.log" | tail -1 | tr -d '\r')
if [ -z "$line" ]; then
    tail -n 30 "$work/console.log"
    echo "vm: 0 passed, 1 failed, 0 skipped: the machine ended without a result"
    exit 1
fi
grep -aE '^ *Failed ' "$work/console.log" | tr -d '\r' | sort -u || true
echo "$line"
[[ $line = *" 0 failed,"* ]]
