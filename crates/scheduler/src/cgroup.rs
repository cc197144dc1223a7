//! The CPU quota of this process's control groups, both versions: what a container is granted. Everything is read under a
//! given root, so that tests bring their own.
//!
//! The group is named in `/proc/self/cgroup`; where its files are, in `/proc/self/mountinfo`. A group cannot have more than
//! those above it, so the least of all quotas up to the mount counts. Where both versions are there, the CPU
//! controller is in one of them only; the first version is asked first, as in Go.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// How many CPUs the quota amounts to, rounded up and at least one. `None`: there is none, or it cannot be read.
pub(crate) fn quota(root: &Path) -> Option<usize> {
    let groups = read(root, "proc/self/cgroup")?;
    let mounts = read(root, "proc/self/mountinfo")?;
    let (version, group) = group(&groups)?;
    let mount = mounts.lines().filter_map(Mount::parse).find(|mount| mount.is(version))?;
    let top = under(root, &mount.point);
    let inside = mount.inside(group);
    // Upwards, down to nothing.
    Path::new(inside.trim_matches('/')).ancestors().filter_map(|group| version.quota(&top.join(group))).min()
}

fn read(root: &Path, path: &str) -> Option<String> {
    fs::read_to_string(root.join(path)).ok()
}

fn under(root: &Path, absolute: &str) -> PathBuf {
    root.join(absolute.trim_start_matches('/'))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// A hierarchy for each set of controllers.
    One,
    /// One for all.
    Two,
}

impl Version {
    /// The quota of one group, in CPUs. `None`: no limit.
    fn quota(self, group: &Path) -> Option<usize> {
        let number = |file: &str| fs::read_to_string(group.join(file)).ok()?.trim().parse().ok();
        let (quota, period): (u64, u64) = match self {
            // No limit is -1, which is no such number.
            Self::One => (number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?),
            // No limit is `max`.
            Self::Two => {
                let text = fs::read_to_string(group.join("cpu.max")).ok()?;
                let mut words = text.split_whitespace();
                let quota = words.next()?.parse().ok()?;
                (quota, words.next().map_or(Some(100_000), |period| period.parse().ok())?)
            }
        };
        let cpus = quota.checked_add(period - u64::from(period > 0))?.checked_div(period)?;
        Some(usize::try_from(cpus).unwrap_or(usize::MAX).max(1))
    }
}

/// Which group this process is in, for its CPU time: of lines `hierarchy:controllers:group`.
fn group(groups: &str) -> Option<(Version, &str)> {
    let mut two = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (hierarchy, controllers, group) = (parts.next()?, parts.next()?, parts.next()?);
        if controllers.split(',').any(|controller| controller == "cpu") {
            return Some((Version::One, group));
        }
        if hierarchy == "0" && controllers.is_empty() {
            two = Some((Version::Two, group));
        }
    }
    two
}

/// A line of `mountinfo`: `id parent device root point options.. - type source super-options`.
struct Mount<'a> {
    /// The group that is seen at the mount point.
    root: String,
    point: String,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let mut filesystem = filesystem.split(' ');
        Some(Self {
            root: unescape(mount.next()?),
            point: unescape(mount.next()?),
            kind: filesystem.next()?,
            options: filesystem.nth(1)?,
        })
    }

    fn is(&self, version: Version) -> bool {
        match version {
            Version::One => self.kind == "cgroup" && self.options.split(',').any(|option| option == "cpu"),
            Version::Two => self.kind == "cgroup2",
        }
    }

    /// The path of `group` below the mount point. A group outside of what is mounted, as seen from inside a container whose
    /// `/proc` tells of the outside, is taken for the mount's own.
    fn inside<'g>(&self, group: &'g str) -> &'g str {
        match group.strip_prefix(self.root.trim_end_matches('/')) {
            Some(rest) if (rest.is_empty() || rest.starts_with('/')) && !rest.contains("/..") => rest,
            _ => "",
        }
    }
}

/// The kernel writes blanks, newlines and backslashes as `\` and three octal digits.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..3).filter(|_| first == b'\\').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    // Std's: a number for a name.
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A file system with those files, deleted when it is dropped.
    struct Root(PathBuf);

    impl Root {
        fn new(files: &[(&str, &str)]) -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let root = std::env::temp_dir().join(format!("gorust-cgroup-{}-{number}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(root)
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn quota_of(files: &[(&str, &str)]) -> Option<usize> {
        quota(&Root::new(files).0)
    }

    const TWO: &str = "22 1 0:20 / /proc rw - proc proc rw\n\
        30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const ONE: &str = "33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
        34 30 0:30 / /sys/fs/cgroup/cpuset rw shared:10 - cgroup cgroup rw,cpuset\n";

    #[test]
    fn version_two_is_rounded_up() {
        for (text, cpus) in [
            ("200000 100000\n", Some(2)),
            ("200001 100000\n", Some(3)),
            ("250000 100000\n", Some(3)),
            ("150000 100000\n", Some(2)),
            ("50000 100000\n", Some(1)),
            ("1000 1000000\n", Some(1)),
            ("0 100000\n", Some(1)),
            ("300000\n", Some(3)),
            ("max 100000\n", None),
            ("100000 0\n", None),
            ("18446744073709551615 1\n", Some(usize::MAX)),
            ("", None),
            ("many", None),
        ] {
            let found = quota_of(&[
                ("proc/self/cgroup", "0::/app\n"),
                ("proc/self/mountinfo", TWO),
                ("sys/fs/cgroup/app/cpu.max", text),
            ]);
            assert_eq!(found, cpus, "{text:?}");
        }
    }

    #[test]
    fn a_nested_group_has_the_least_of_all_above() {
        let nested = |top: &str, middle: &str, own: &str| {
            quota_of(&[
                ("proc/self/cgroup", "0::/top/middle/own\n"),
                ("proc/self/mountinfo", TWO),
                ("sys/fs/cgroup/top/cpu.max", top),
                ("sys/fs/cgroup/top/middle/cpu.max", middle),
                ("sys/fs/cgroup/top/middle/own/cpu.max", own),
            ])
        };
        assert_eq!(nested("400000 100000", "max 100000", "800000 100000"), Some(4));
        assert_eq!(nested("max 100000", "300000 200000", "max 100000"), Some(2));
        assert_eq!(nested("max 100000", "max 100000", "100000 100000"), Some(1));
        assert_eq!(nested("max 100000", "max 100000", "max 100000"), None);
    }

    #[test]
    fn version_one_is_asked_first() {
        let groups = "5:cpuset:/x\n4:cpu,cpuacct:/docker/abc\n0::/docker/abc\n";
        let one = |quota: &str, period: &str| {
            quota_of(&[
                ("proc/self/cgroup", groups),
                ("proc/self/mountinfo", &(ONE.to_owned() + TWO)),
                ("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", quota),
                ("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", period),
                ("sys/fs/cgroup/docker/abc/cpu.max", "700000 100000"),
            ])
        };
        assert_eq!(one("250000\n", "100000\n"), Some(3));
        assert_eq!(one("50000\n", "100000\n"), Some(1));
        assert_eq!(one("-1\n", "100000\n"), None);
    }

    #[test]
    fn what_is_mounted_may_be_a_part_of_the_tree() {
        // A container that sees its own group at the mount point.
        let part = "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        for (group, cpus) in [("0::/docker/abc/own\n", 1), ("0::/docker/abc\n", 2), ("0::/elsewhere\n", 2)] {
            let found = quota_of(&[
                ("proc/self/cgroup", group),
                ("proc/self/mountinfo", part),
                ("sys/fs/cgroup/cpu.max", "200000 100000"),
                ("sys/fs/cgroup/own/cpu.max", "100000 100000"),
            ]);
            assert_eq!(found, Some(cpus), "{group}");
        }
        // A group outside of this namespace.
        let found = quota_of(&[
            ("proc/self/cgroup", "0::/../other\n"),
            ("proc/self/mountinfo", TWO),
            ("sys/fs/cgroup/cpu.max", "200000 100000"),
        ]);
        assert_eq!(found, Some(2));
    }

    #[test]
    fn blanks_in_paths_are_escaped() {
        let found = quota_of(&[
            ("proc/self/cgroup", "0::/my app\n"),
            ("proc/self/mountinfo", "30 23 0:26 / /sys/fs/my\\040groups rw - cgroup2 cgroup rw\n"),
            ("sys/fs/my groups/my app/cpu.max", "200000 100000"),
        ]);
        assert_eq!(found, Some(2));
        assert_eq!(unescape("a\\134b\\0\\999"), "a\\b\\0\\999");
    }

    #[test]
    fn nothing_to_read_is_no_limit() {
        assert_eq!(quota_of(&[]), None);
        assert_eq!(quota_of(&[("proc/self/cgroup", "0::/\n"), ("proc/self/mountinfo", "")]), None);
        assert_eq!(quota_of(&[("proc/self/cgroup", "nonsense\n"), ("proc/self/mountinfo", TWO)]), None);
    }
}
