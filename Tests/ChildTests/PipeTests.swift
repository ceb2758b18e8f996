// PipeTests.swift - connections between processes.

import SpoolProcesses
import Testing

@Suite("A pipe", .timeLimit(.minutes(5))) struct PipeTests {
    @Test(
        "cPI1, cPI3: carries messages of any size to a child and back",
        arguments: StartMethod.allCases)
    func echo(_ method: StartMethod) throws { try Rig.run("echo", method.rawValue) }
}
