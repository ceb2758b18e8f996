// PoolTests.swift - pools of processes.

import SpoolProcesses
import Testing

@Suite("A pool of processes", .timeLimit(.minutes(10))) struct PoolTests {
    static let methods = [StartMethod.forkServer, .spawn]

    private func run(_ name: String, _ method: StartMethod = .forkServer) throws {
        try Rig.run("pool-" + name, method.rawValue)
    }

    @Test(
        "cPO1, cPO8, cPO15, cFP7, cFS13: gives values back, reuses idle processes, and ends them",
        arguments: methods)
    func submit(_ method: StartMethod) throws { try run("submit", method) }

    @Test("cPO2, cPO3, cPO6, cPO14: maps as a loop would, with any chunk, nothing too")
    func map() throws { try run("map") }

    @Test(
        "cPO5, cPO17, cPO23, cFD1, cFD3, cFD7, cFD10: an error is its task's, with type and text")
    func errors() throws { try run("errors") }

    @Test(
        "cFD2, cFD4, cFD6, cFD8, cFD9: a process that ends in the midst of a task fails that task only",
        arguments: methods)
    func deaths(_ method: StartMethod) throws { try run("deaths", method) }

    @Test("R12, cFP2: killing a process fails its task only; it is replaced", arguments: methods)
    func killed(_ method: StartMethod) throws { try run("killed", method) }

    @Test(
        "R12: a task outlives the thread that submitted it, for which its process was made",
        arguments: methods)
    func submitter(_ method: StartMethod) throws { try run("submitter", method) }

    @Test("R12: a task whose process dies is tried again as often as was told")
    func retries() throws { try run("retries") }

    @Test("R12: every future ends while processes are killed at random instants")
    func storm() throws { try run("storm") }

    @Test("cFP6: many more tasks than processes make exactly as many processes as are allowed")
    func saturation() throws { try run("saturation") }

    @Test("cPO24, cPO25, cFP8, cFP10: after so many tasks a process is replaced, and all complete")
    func lifetime() throws { try run("lifetime") }

    @Test("cPO12, cPO26: sizes and limits that make no sense are refused, and what is too large")
    func limits() throws { try run("limits") }

    @Test("cFS14: shut down without waiting it still does all that was submitted")
    func noWait() throws { try run("noWait") }

    @Test("cFD13, cFD14: ends although processes die and inputs cannot be encoded meanwhile")
    func ends() throws { try run("ends") }

    @Test("what has not begun can be cancelled, what runs cannot")
    func cancel() throws { try run("cancel") }

    @Test("cPO13: killed with ten thousand tasks pending it ends at once")
    func kill() throws { try run("kill") }

    @Test(
        "cSM18, cFX2: an initializer runs first in each process; one that throws breaks the pool",
        arguments: methods)
    func initializer(_ method: StartMethod) throws { try run("initializer", method) }

    @Test("cMQ15: works inside a child process", arguments: methods)
    func nested(_ method: StartMethod) throws { try run("nested", method) }

    @Test("cFT5: pools are made and used by many threads at once")
    func threads() throws { try run("threads") }

    @Test(
        "cFS6, cPO27: a forgotten pool is finished at the end of the process, which does not hang")
    func forgotten() throws {
        let lines = try Rig.run("pool-forgotten").split(separator: "\n")
        #expect(Set(lines) == Set((0..<20).map { "task \($0)" }))
    }

    @Test("cFS14: a dropped pool still does what was submitted")
    func dropped() throws { try run("dropped") }

    @Test("is awaited by tasks")
    func tasks() throws { try run("tasks") }
}

@Suite("A thread that waits for a future of a pool of processes", .timeLimit(.minutes(10)))
struct PoolWaitTests {
    private func run(_ name: String) throws {
        try Rig.run("pool-wait-" + name, StartMethod.forkServer.rawValue)
    }

    @Test("runs no callback of another, and keeps none from being called")
    func callbacks() throws { try run("callbacks") }

    @Test("is told when the future is cancelled meanwhile")
    func cancelled() throws { try run("cancelled") }

    @Test("gives up at its time limit, and can wait again")
    func limits() throws { try run("limits") }

    @Test("lets the pool's own thread sleep while it reads, and when nobody waits any more")
    func rest() throws { try run("rests") }

    @Test(
        "rings the pool's own thread, which sleeps while it reads, when it stops or has what is not its own"
    )
    func ring() throws { try run("rings") }

    @Test("is told when the process dies, and when the pool is killed")
    func deaths() throws { try run("dies") }

    @Test("gets what is its own among many that wait")
    func many() throws { try run("many") }
}
