#!/bin/sh
# make.sh FOLDER IMAGE: a small Debian 12 with sysvinit as an ext4 image, made in FOLDER (which goes again). As root.
# A login is on hvc0: root, with the password xenolith.
set -eu
folder=$1 image=$2
clean() {
  for mount in proc sys dev/pts dev; do umount "$folder/$mount" 2>/dev/null || true; done
  rm -rf --one-file-system "$folder"
}
trap clean EXIT
trap 'exit 130' INT TERM

debootstrap --variant=minbase --include=sysvinit-core bookworm "$folder" >&2

# Services of machines that have what a guest has not: no virtual terminals, real-time clock, backlight, NFS.
chroot "$folder" sh -eu <<'EOF'
for service in hwclock.sh brightness mountnfs-bootclean.sh mountnfs.sh rc.local; do
  if [ -e "/etc/init.d/$service" ]; then update-rc.d "$service" remove; rm "/etc/init.d/$service"; fi
done
sed -i '/getty/d' /etc/inittab
echo 'hv:2345:respawn:/sbin/agetty --keep-baud hvc0 vt100' >>/etc/inittab
# A hash that costs little: the password is no secret, and the processor slow.
echo root:xenolith | chpasswd --crypt-method SHA256 --sha-rounds 1000
EOF
echo debian >"$folder/etc/hostname"
echo '127.0.0.1 localhost debian' >"$folder/etc/hosts"
echo '/dev/xvda / ext4 errors=remount-ro 0 1' >"$folder/etc/fstab"
: >"$folder/etc/machine-id"

cd "$folder"
rm -rf dev/* run/* var/cache/apt/* var/lib/apt/lists/* var/log/*.log usr/share/doc usr/share/man usr/share/info \
  usr/share/locale usr/share/zoneinfo
cd - >/dev/null
# The size is how large it may grow: what is not used takes no room in the file.
mke2fs -q -t ext4 -L root -m 0 -E lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0 -d "$folder" "$image" 640M
