// RelativeTests.swift - parents, siblings, grandchildren, and the process that forks them.

import Glibc
import SpoolProcesses
import Testing

@Suite("Processes of one program", .timeLimit(.minutes(10))) struct RelativeTests {
    @Test(
        "use the same locks, semaphores, events, conditions, barriers and queues when they are handed on",
        arguments: StartMethod.allCases)
    func kit(_ method: StartMethod) throws { try Rig.run("kit", method.rawValue) }

    @Test("cPR4: are called and made as they are told, and daemons only if told")
    func names() throws { try Rig.run("names") }

    @Test(
        "cPR5, cSM1: know their parent's number and name, and how they were made",
        arguments: StartMethod.allCases)
    func family(_ method: StartMethod) throws { try Rig.run("family", method.rawValue) }

    @Test("cPR6: can wait for the end of a parent that is killed", arguments: StartMethod.allCases)
    func orphan(_ method: StartMethod) throws { try Rig.run("orphan", method.rawValue) }

    @Test(
        "R3: daemons end with their parent when it is killed, and not with the thread that started them",
        arguments: StartMethod.allCases)
    func daemons(_ method: StartMethod) throws { try Rig.run("daemons", method.rawValue) }

    @Test(
        "at the end of a process its daemons are ended and its other children waited for",
        arguments: StartMethod.allCases)
    func atExit(_ method: StartMethod) throws { try Rig.run("atExit", method.rawValue) }

    @Test("a daemon may have no children", arguments: StartMethod.allCases)
    func daemonChildren(_ method: StartMethod) throws {
        try Rig.run("daemonChildren", method.rawValue)
    }

    @Test("cSM7: a child passes its input on to a grandchild", arguments: StartMethod.allCases)
    func nested(_ method: StartMethod) throws { try Rig.run("nested", method.rawValue) }

    @Test(
        "cPR8, cPR18, cSM16: have threads of their own, and no descriptors of their siblings",
        arguments: StartMethod.allCases)
    func siblings(_ method: StartMethod) throws { try Rig.run("siblings", method.rawValue) }

    @Test("cPR22: an interrupt does not end the process that forks")
    func interrupted() throws { try Rig.run("interrupted") }

    @Test("cPR23: the process that forks is replaced when it was killed, and its children live on")
    func killed() throws { try Rig.run("killed") }

    @Test(
        "R12: a child is made although the process that forks is killed when it has forked, and before it says so"
    )
    func unheard() throws { try Rig.run("unheard") }

    @Test("a forked child cannot join or kill its siblings", arguments: StartMethod.allCases)
    func stranger(_ method: StartMethod) throws { try Rig.run("stranger", method.rawValue) }

    // The sanitizer's own locks are not made for forks with other threads: they hang in the child.
    @Test(
        "a fork while another thread makes a child, or asks whether one lives, leaves its child able to go on",
        .disabled(if: getenv("TSAN_OPTIONS") != nil), arguments: ["forkAsking", "forkWatching"])
    func rawFork(_ name: String) throws { try Rig.run(name) }

    @Test("the first that ends is told", arguments: StartMethod.allCases)
    func any(_ method: StartMethod) throws { try Rig.run("any", method.rawValue) }
}
