// Cores.swift - how many processors there are for this process.

private import CSpool
private import Glibc

/// Processors, as the kernel lets this process use them.
enum Cores {
    /// Those that its affinity allows, and no more than the quotas of its control groups pay for; 1 at least.
    static var usable: Int {
        let allowed = Int(spool_usable_cores())
        guard let paid = quota(ofGroups: text("/proc/self/cgroup") ?? "", read: text) else {
            return allowed
        }
        return max(1, min(allowed, paid))
    }

    /// The smallest quota of the process's group and those above it, in whole processors; nil: there is none.
    ///
    /// Version 2 of control groups says "200000 100000" or "max 100000" in cpu.max; version 1 has a file for each.
    static func quota(ofGroups groups: String, read: (String) -> String?) -> Int? {
        var smallest: Int?
        for line in groups.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let isSecond = parts[1].isEmpty
            guard isSecond || parts[1].split(separator: ",").contains("cpu") else { continue }
            let root = "/sys/fs/cgroup" + (isSecond ? "" : "/cpu")
            var names = parts[2].split(separator: "/")
            while true {
                let folder = root + names.map { "/" + $0 }.joined()
                let share = isSecond ? second(folder, read) : first(folder, read)
                smallest = [smallest, share].compactMap { $0 }.min()
                if names.popLast() == nil { break }
            }
        }
        return smallest
    }

    private static func second(_ folder: String, _ read: (String) -> String?) -> Int? {
        let numbers = (read(folder + "/cpu.max") ?? "").split { $0 == " " || $0 == "\n" }
        return numbers.count == 2 ? processors(numbers[0], numbers[1]) : nil
    }

    private static func first(_ folder: String, _ read: (String) -> String?) -> Int? {
        guard let quota = read(folder + "/cpu.cfs_quota_us"),
            let period = read(folder + "/cpu.cfs_period_us")
        else { return nil }
        return processors(quota.prefix { $0 != "\n" }, period.prefix { $0 != "\n" })
    }

    /// Half a processor counts as one.
    private static func processors(_ quota: Substring, _ period: Substring) -> Int? {
        guard let quota = Int(quota), let period = Int(period), quota > 0, period > 0 else {
            return nil
        }
        return (quota - 1) / period + 1
    }

    private static func text(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(file, &bytes, bytes.count)
        return count >= 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
    }
}
