#!/usr/bin/env bash
# image.sh WORK-FOLDER: a tree of Debian's packages with .NET in it, a kernel, and an initial RAM disk that finds the tree. Done once: remove the folder to do it anew.
# Packages are unpacked, not installed: nothing of them runs on this host, and what their scripts would have set up is written here.
set -euo pipefail
work=$1 tree=$1/tree
packages="base-files base-passwd libc-bin dash hostname tar gzip diffutils debianutils bash coreutils util-linux mount passwd login findutils grep sed mawk procps iproute2 kmod systemd systemd-sysv dbus dbus-user-session
    libpam-systemd libpam-runtime libpam-modules uidmap busybox-static apparmor criu iptables runc crun strace attr zstd libseccomp2 libstdc++6 zlib1g gcc libc6-dev linux-image-cloud-amd64"
dotnet=$(dirname "$(readlink -f "$(command -v dotnet)")")
print=$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-16)-$(ls "$dotnet/sdk" | tail -1)
[ "$(cat "$work/made" 2>/dev/null)" = "$print" ] && exit

echo "making the machine's disk"
rm -rf "$tree" "$work/made"
mkdir -p "$work/debs/partial" "$tree"
: >"$work/no-packages"
# All that the packages need is fetched, as if this host had none.
apt-get -q -y --no-install-recommends --download-only -o Dir::State::status="$work/no-packages" -o Dir::Cache::archives="$work/debs" -o Debug::NoLocking=1 \
    -o APT::Sandbox::User=root install $packages >"$work/packages.log" 2>&1

for folder in bin sbin lib lib64; do mkdir -p "$tree/usr/$folder"; ln -s "usr/$folder" "$tree/$folder"; done
for deb in "$work"/debs/*.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$tree"; done

kernel=$(cd "$tree/lib/modules" && ls | tail -1)
cp "$tree/boot/vmlinuz-$kernel" "$work/kernel"
rm -rf "$tree/boot" "$tree/usr/share/doc" "$tree/usr/share/man" "$tree/usr/share/locale"
chroot "$tree" depmod "$kernel"
chroot "$tree" ldconfig

# ---- what the packages' scripts would have made ----
cp "$tree/usr/share/base-passwd/passwd.master" "$tree/etc/passwd"
cp "$tree/usr/share/base-passwd/group.master" "$tree/etc/group"
echo 'messagebus:x:100:101::/nonexistent:/usr/sbin/nologin' >>"$tree/etc/passwd"
printf '%s\n' 'messagebus:x:101:' 'systemd-journal:x:102:' >>"$tree/etc/group"
sed 's/:.*/:*:19000:0:99999:7:::/' "$tree/etc/passwd" >"$tree/etc/shadow"
sed 's/:.*/:*::/' "$tree/etc/group" >"$tree/etc/gshadow"
: >"$tree/etc/subuid"; : >"$tree/etc/subgid"; : >"$tree/etc/fstab"
printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files\n' >"$tree/etc/nsswitch.conf"
printf '127.0.0.1 localhost\n' >"$tree/etc/hosts"
echo vm >"$tree/etc/hostname"
tr -d - </proc/sys/kernel/random/uuid >"$tree/etc/machine-id"
ln -sf mawk "$tree/usr/bin/awk"
ln -sf dash "$tree/usr/bin/sh"
for program in iptables ip6tables iptables-restore ip6tables-restore iptables-save ip6tables-save; do ln -sf xtables-nft-multi "$tree/usr/sbin/$program"; done
for kind in auth account password session session-noninteractive; do
    echo "${kind%%-*} required pam_unix.so" >"$tree/etc/pam.d/common-$kind"
done
mkdir -p "$tree/root" "$tree/tmp" "$tree/var/tmp" "$tree/run/lock"
chmod 1777 "$tree/tmp" "$tree/var/tmp"

cat >"$tree/etc/systemd/system/runtime-tests.service" <<'UNIT'
[Unit]
After=basic.target dbus.service systemd-logind.service
Wants=dbus.service systemd-logind.service
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/opt/inside.sh
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
TasksMax=infinity
UNIT
cat >"$tree/etc/systemd/system/runtime-tests.target" <<'UNIT'
[Unit]
Requires=basic.target runtime-tests.service
UNIT
ln -sf runtime-tests.target "$tree/etc/systemd/system/default.target"

# ---- .NET: the runtime and the runner of tests, without compilers ----
sdk=$(ls "$dotnet/sdk" | tail -1) runtime=$(ls "$dotnet/shared/Microsoft.NETCore.App" | sort -V | tail -1)
mkdir -p "$tree/opt/dotnet/shared/Microsoft.NETCore.App" "$tree/opt/dotnet/sdk/$sdk"
cp -a "$dotnet/dotnet" "$dotnet/host" "$tree/opt/dotnet/"
cp -a "$dotnet/shared/Microsoft.NETCore.App/$runtime" "$tree/opt/dotnet/shared/Microsoft.NETCore.App/"
find "$dotnet/sdk/$sdk" -maxdepth 1 -type f -exec cp -t "$tree/opt/dotnet/sdk/$sdk" {} +
if [ -d "$dotnet/sdk/$sdk/Extensions" ]; then cp -a "$dotnet/sdk/$sdk/Extensions" "$tree/opt/dotnet/sdk/$sdk/"; fi

# ---- the initial RAM disk: modules for the disk, then the tree's own init ----
ram=$work/ram
rm -rf "$ram"; mkdir -p "$ram/bin" "$ram/lib/modules" "$ram/proc" "$ram/sys" "$ram/dev" "$ram/new"
cp "$tree/bin/busybox" "$ram/bin/"
needed=$(cd "$tree/lib/modules/$kernel" && for module in virtio_pci virtio_blk ext4; do chroot "$tree" modprobe -S "$kernel" --show-depends "$module"; done | sed -n 's/^insmod //p' | awk '!seen[$0]++')
for module in $needed; do install -D -m 644 "$tree$module" "$ram/modules/$(basename "$module")"; done
{
    echo '#!/bin/busybox sh'
    echo 'busybox mount -t proc proc /proc; busybox mount -t sysfs sysfs /sys; busybox mount -t devtmpfs dev /dev'
    for module in $needed; do echo "busybox insmod /modules/$(basename "$module")"; done
    echo 'tries=0; while [ ! -b /dev/vda ] && [ $tries -lt 300 ]; do tries=$((tries + 1)); busybox sleep 0.1; done'
    echo 'busybox mount -t ext4 /dev/vda /new || busybox poweroff -f'
    echo 'busybox mount --move /dev /new/dev; busybox umount /sys /proc'
    echo 'exec busybox switch_root /new /sbin/init'
} >"$ram/init"
chmod 755 "$ram/init"
(cd "$ram" && find . | busybox cpio -o -H newc 2>/dev/null) >"$work/initrd"
rm -rf "$ram"
echo "$print" >"$work/made"
