//! How much memory something takes.

use std::fs;

pub const MIB: usize = 1024 * 1024;

/// Does the work; also tells how much more memory the process had at the highest point than before, in bytes.
pub async fn peak<T>(work: impl Future<Output = T>) -> (T, usize) {
    // proc_pid_clear_refs(5): 5 resets the high-water mark to what is in use now.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = resident("VmRSS:");
    let done = work.await;
    (done, resident("VmHWM:").saturating_sub(before))
}

fn resident(field: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
