// CoresTests.swift - how many processors there are for a process.

import Testing

@testable import SpoolProcesses

@Suite("The count of processors") struct CoresTests {
    @Test("cPR11: is at least 1")
    func one() { #expect(ChildProcess.cpuCount >= 1) }

    private func quota(_ groups: String, _ files: [String: String]) -> Int? {
        Cores.quota(ofGroups: groups) { files[$0] }
    }

    @Test("cPR11: is no more than the tightest of the control groups pays for, rounded up")
    func second() {
        let groups = "0::/kitchen/oven\n"
        let root = "/sys/fs/cgroup"
        #expect(quota(groups, [:]) == nil)
        #expect(quota(groups, [root + "/kitchen/oven/cpu.max": "max 100000\n"]) == nil)
        #expect(quota(groups, [root + "/kitchen/oven/cpu.max": "150000 100000\n"]) == 2)
        #expect(quota(groups, [root + "/kitchen/oven/cpu.max": "5000 100000\n"]) == 1)
        let both = [
            root + "/kitchen/oven/cpu.max": "800000 100000\n",
            root + "/kitchen/cpu.max": "300000 100000\n",
        ]
        #expect(quota(groups, both) == 3)
        #expect(quota(groups, [root + "/cpu.max": "nonsense\n"]) == nil)
    }

    @Test("cPR11: knows the first version of control groups too")
    func first() {
        let groups = "3:memory:/x\n4:cpu,cpuacct:/kitchen\n"
        let folder = "/sys/fs/cgroup/cpu/kitchen"
        let files = [
            folder + "/cpu.cfs_quota_us": "400000\n", folder + "/cpu.cfs_period_us": "100000\n",
        ]
        #expect(quota(groups, files) == 4)
        #expect(quota(groups, files.merging([folder + "/cpu.cfs_quota_us": "-1\n"]) { $1 }) == nil)
    }
}
