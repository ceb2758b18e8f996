// JoinFaultTests.swift - what a join does when the disk fails under it.

import CFaultDisk
import CSQLite
import Foundation
import SpoolJobs
import SpoolThreads
import Testing

@Suite("A join on a failing disk") struct JoinFaultTests {
    @Test("J1: a job that cannot be read is not one that has gone: the join fails and does not end")
    func unreadable() throws {
        #expect(fault_disk_install() == 0)
        let folder = NSTemporaryDirectory() + "spool-join-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try Store.open(folder + "/jobs.db", .create)
        let noon = UnixTime(microseconds: 1_800_000_000_000_000)
        let jobs = [NewJob(.kind("a")), NewJob(.kind("a"))]
        try store.put(jobs, now: noon)
        let joiner = try Joiner(.jobs([1, 2]), of: store)
        // Another connection's commit empties the cache: the next look must read the file.
        try Store.open(folder + "/jobs.db", .existing).put(jobs, now: noon)
        fault_disk_fail(Int32(FAULT_DISK_READ), 0, 1000, SQLITE_IOERR | (1 << 8))
        defer { fault_disk_heal() }
        #expect(throws: SpoolError.self) { try joiner.look() }
        fault_disk_heal()
        #expect(try !joiner.look().isFinished)
    }
}
