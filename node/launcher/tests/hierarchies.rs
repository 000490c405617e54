//! Where the own folder stands, on the kinds of machine there are.

use lull_launcher::cage::{Hierarchies, Version};

const V1_MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:3 - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";

fn own(cgroup: &str, mounts: &str) -> Vec<(Version, String)> {
    let all = Hierarchies::parse(cgroup, mounts).0;
    all.into_iter()
        .map(|h| (h.version, h.own.display().to_string()))
        .collect()
}

#[test]
fn each_v1_controller_has_a_path_of_its_own_beside_a_v2_tree() {
    let cgroup = "4:memory:/some/service\n1:cpu,cpuacct:/\n9:name=systemd:/x\n0::/user.slice\n";
    assert_eq!(
        own(cgroup, V1_MOUNTS),
        [
            (Version::V1, "/sys/fs/cgroup/memory/some/service".to_owned()),
            (Version::V1, "/sys/fs/cgroup/cpu,cpuacct/".to_owned()),
            (Version::V1, "/sys/fs/cgroup/systemd/x".to_owned()),
            (Version::V2, "/sys/fs/cgroup/unified/user.slice".to_owned()),
        ]
    );
}

#[test]
fn a_controller_that_is_not_mounted_is_not_there() {
    assert_eq!(own("8:pids:/\n3:cpuset:/\n", V1_MOUNTS), []);
}

#[test]
fn pure_v2_has_one_tree() {
    let mounts = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
    let own = own("0::/system.slice/lull-node.service\n", mounts);
    let folder = "/sys/fs/cgroup/system.slice/lull-node.service".to_owned();
    assert_eq!(own, [(Version::V2, folder)]);
}

#[test]
fn a_container_sees_its_part_of_the_hierarchy_only() {
    let mounts = "\
35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory
36 31 0:33 /docker/abc /sys/fs/cgroup/pids ro,nosuid - cgroup cgroup rw,pids
";
    let cgroup = "4:memory:/docker/abc/inner\n5:pids:/elsewhere\n";
    let folder = "/sys/fs/cgroup/memory/inner".to_owned();
    assert_eq!(own(cgroup, mounts), [(Version::V1, folder)]);
}

#[test]
fn lines_that_are_something_else_are_passed_over() {
    assert_eq!(own("garbage\n1:cpu\n", "nothing\n1 2 3 - cgroup\n"), []);
}
