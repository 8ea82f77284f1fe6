# SPDX-License-Identifier: GPL-2.0-or-later
#
# For what becomes a machine that systemd runs: Tests/docs/machine and Tests/packaging/machine.sh. Read by
# process 1 of namespaces of their own, in a control group of its own, with "set -e" and a folder in $scratch,
# whose file "hierarchies" lists the control groups to mount. It leaves the machine's root in $root, which is
# this machine seen through an overlay, and "boot", which starts systemd there.

root=$scratch/root
mount --make-rprivate /
mkdir "$root" "$scratch/overlay"
mount -t tmpfs tmpfs "$scratch/overlay"
mkdir "$scratch/overlay/upper" "$scratch/overlay/work"
mount -t overlay -o "lowerdir=/,upperdir=$scratch/overlay/upper,workdir=$scratch/overlay/work" \
    overlay "$root"
mount -t proc proc "$root/proc"
# What belongs to all namespaces stays as it is.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
awk '{ print $2 }' "$scratch/hierarchies" | grep -qx /sys/fs/cgroup \
    || mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
while read -r kind place options; do
    mkdir -p "$root$place"
    case $kind in
        cgroup2) mount -t cgroup2 cgroup2 "$root$place" ;;
        *)
            options=$(echo "$options" | tr , '\n' \
                | grep -xE 'name=.*|xattr|devices|memory|pids' | paste -sd, -)
            case $options in *name=*) options=none,$options ;; esac
            mount -t cgroup -o "$options" cgroup "$root$place"
            ;;
    esac
done < "$scratch/hierarchies"
for place in run tmp dev root var/log var/tmp; do mount -t tmpfs tmpfs "$root/$place"; done
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm" "$root/run/netns" "$root/run/systemd" \
    "$root/run/systemd/system"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"

# Nothing of this machine's but the journal.
cat > "$root/run/systemd/system/test.target" <<UNIT
[Unit]
DefaultDependencies=no
Wants=systemd-journald.service
UNIT
rm -rf "$root/etc/ct_sync.conf" "$root/etc/ct_sync"
# An image of containers forbids packages to stop what they started.
rm -f "$root/usr/sbin/policy-rc.d"

boot() {
    chroot "$root" ip link set lo up
    # As a container's manager does it: without it services get no credentials.
    mount --make-rshared "$root"
    exec chroot "$root" env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --unit=test.target --log-target=journal --show-status=no
}
