// PipeTests.swift - connections between processes.

import SpoolProcesses
import Testing

@Suite("A pipe", .timeLimit(.minutes(10))) struct PipeTests {
    @Test(
        "cPI1, cPI3: carries messages of any size to a child and back",
        arguments: StartMethod.allCases)
    func echo(_ method: StartMethod) throws { try Rig.run("echo", method.rawValue) }

    @Test("cPI5: carries descriptors, and other connections", arguments: StartMethod.allCases)
    func transfer(_ method: StartMethod) throws { try Rig.run("transfer", method.rawValue) }

    @Test(
        "cPI17: a process that only polls takes no part of a message",
        arguments: StartMethod.allCases)
    func boundaries(_ method: StartMethod) throws { try Rig.run("boundaries", method.rawValue) }

    @Test(
        "cPI26, cPI27, cPI28: signals disturb neither sends nor receives, accepts nor waits",
        arguments: [StartMethod.forkServer, .spawn])
    func signals(_ method: StartMethod) throws { try Rig.run("signals", method.rawValue) }

    @Test("cW5: waits for processes and connections together", arguments: StartMethod.allCases)
    func wait(_ method: StartMethod) throws { try Rig.run("wait", method.rawValue) }

    @Test("a listener's copy in a forked child listens on when its maker closes its own")
    func inherited() throws { try Rig.run("inherited") }

    @Test(
        "cSM6: what cannot go a way is refused, and nothing is lost",
        arguments: StartMethod.allCases)
    func mixed(_ method: StartMethod) throws { try Rig.run("mixed", method.rawValue) }

    @Test("tasks join children, and a cancelled one is told so", arguments: StartMethod.allCases)
    func asyncJoin(_ method: StartMethod) throws { try Rig.run("asyncJoin", method.rawValue) }
}
