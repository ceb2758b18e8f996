// ThreadTests.swift - starting, joining and listing threads, and the end of the process (cT).

import CSpool
import Glibc
import SpoolProcesses
import SpoolThreads
import Testing

private struct Oops: Error {}

@Suite("A thread", .timeLimit(.minutes(10))) struct ThreadTests {
    @Test("cT1: is a daemon as its creator is, or as it was told")
    func daemon() throws {
        #expect(!Thread {}.daemon && Thread(daemon: true) {}.daemon)
        let seen = Notes<Bool>()
        let parent = Thread(daemon: true) {
            seen.add(Thread {}.daemon)
            seen.add(Thread(daemon: false) {}.daemon)
        }
        try parent.start()
        try parent.join()
        #expect(seen.all == [true, false])
    }

    @Test(
        "cT2: ten threads under a semaphore of 3, with stacks of every size",
        arguments: [
            nil, 256 << 10, 1 << 20,
        ])
    func ten(_ stackSize: Int?) throws {
        let (units, inside) = (BoundedSemaphore(3), Tally())
        let crew = try Crew(10, stackSize: stackSize) { _ in
            units.withAcquired {
                inside.add()
                Pause.briefly(upTo: .microseconds(100))
                inside.add(-1)
            }
        }
        try crew.join()
        #expect(inside.peak <= 3 && crew.threads.allSatisfy { !$0.isAlive })
    }

    @Test("has a name, a number of the kernel, and is the current one while it runs")
    func identity() throws {
        let seen = Notes<(Bool, Int)>()
        let (begin, end) = (Event(), Event())
        let thread = Thread(name: "identity") {
            seen.add((Thread.current.name == "identity", Int(spool_thread_id())))
            begin.set()
            end.wait()
        }
        #expect(thread.ident == nil && !thread.isAlive)
        try thread.start()
        #expect(thread.isAlive && thread.ident != nil)
        begin.wait()
        #expect(Thread.enumerate().contains { $0 === thread } && Thread.activeCount >= 2)
        end.set()
        try thread.join()
        #expect(seen.all[0].0 && seen.all[0].1 == thread.ident && !thread.isAlive)
        #expect(Thread.main.name == "MainThread" && Thread.main.ident == Int(getpid()))
        #expect(Thread.current === Thread.current && Thread {}.name != Thread {}.name)
    }

    @Test(
        "the main thread is one object, whoever asks for it first",
        .disabled(if: getenv("TSAN_OPTIONS") != nil))
    func main() async {
        await #expect(processExitsWith: .success) {
            // The thread that forks is the main one of its child; so far nobody has asked for it.
            let isOne = forksWell {
                let (itself, seen) = (Thread.current, Notes<Thread>())
                try Crew { _ in seen.add(Thread.main) }.join()
                return seen.all[0] === itself && itself.ident == Int(getpid())
            }
            exit(isOne ? 0 : 1)
        }
    }

    @Test("cT6: is not listed any more once it was joined, a hundred times")
    func listed() throws {
        for _ in 0..<100 {
            let thread = Thread { Pause.briefly(upTo: .microseconds(50)) }
            try thread.start()
            try thread.join()
            #expect(!Thread.enumerate().contains { $0 === thread })
        }
    }

    @Test(
        "cT7: has let go of its closure when it was joined, also after an error",
        arguments: [
            false, true,
        ])
    func released(_ fails: Bool) throws {
        weak var held: Tally?
        let thread: Thread
        do {
            let tally = Tally()
            held = tally
            thread = Thread(onUncaught: { _ in }) {
                tally.add()
                if fails { throw Oops() }
            }
        }
        #expect(held != nil)
        try thread.start()
        try thread.join()
        #expect(held == nil)
    }

    @Test("cT12: leaves nothing behind when nobody joins it")
    func unjoined() throws {
        weak var thread: Thread?
        let ended = Event()
        do {
            let mine = Thread { ended.set() }
            thread = mine
            try mine.start()
        }
        ended.wait()
        #expect(eventually { thread == nil })
    }

    @Test(
        "cT19, cT20, cT21: a second start, joining oneself, joining what was not started: refused")
    func misuse() throws {
        let refused = Notes<String>()
        func expectBadInput(_ body: () throws -> Void) {
            do { try body() } catch SpoolError.badInput(let text, _) {
                refused.add(text)
            } catch {}
        }
        let thread = Thread(name: "mine") {
            do { _ = try Thread.current.join() as Bool } catch { refused.add("\(error)") }
        }
        expectBadInput { try thread.join() }
        try thread.start()
        expectBadInput { try thread.start() }
        try thread.join()
        expectBadInput { try thread.start() }
        expectBadInput { try thread.join(timeout: .seconds(-1)) }
        expectBadInput { try Thread.main.join(timeout: .zero) }
        expectBadInput { try Thread(stackSize: 1) {}.start() }
        #expect(refused.all.count == 7)
        #expect(refused.all.contains { $0.contains("cannot join itself") })
        #expect(refused.all.contains { $0.contains("it runs once") })
        #expect(refused.all.contains { $0.contains("was not started") })
    }

    @Test("cT21: who joins a thread whose start fails at that moment does not wait for ever")
    func failedStart() throws {
        let thread = Thread(daemon: true, stackSize: 1 << 50) {}
        let (refused, patient) = (Tally(), Deadline(after: patience))
        let crew = try Crew(2) { number in
            while refused.value < 4000 {
                // Its errors come and go: only the end of the wait is asked for.
                if number == 0 { _ = try? thread.join(timeout: nil) } else { _ = thread.ident }
                refused.add()
            }
        }
        while crew.threads.contains(where: \.isAlive), !patient.isPast {
            // It never begins: no system has so much memory for a stack.
            try? thread.start()
        }
        try crew.join()
    }

    @Test("a limited join gives up at its limit, of a thread or a task")
    func limited() async throws {
        let end = Event()
        let thread = Thread(daemon: true) { end.wait() }
        try thread.start()
        #expect(try await !thread.join(timeout: .milliseconds(1)))
        #expect(try waitBriefly(thread) == false)
        let task = Task { try await thread.join() }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        end.set()
        #expect(try await thread.join())
    }

    private func waitBriefly(_ thread: Thread) throws -> Bool {
        try thread.join(timeout: .milliseconds(1))
    }

    @Test("cT25, cT26: an error that nobody caught goes to its hook, else to standard error")
    func uncaught() async throws {
        let seen = Notes<Bool>()
        let thread = Thread(onUncaught: { seen.add($0 is Oops) }) { throw Oops() }
        try thread.start()
        try await thread.join()
        #expect(seen.all == [true])
        let end = await #expect(
            processExitsWith: .success, observing: [\.standardErrorContent]
        ) {
            try Thread(name: "clumsy") { throw Oops() }.start()
            exit(0)
        }
        #expect(said(end?.standardErrorContent, "thread 'clumsy' ended with an error: Oops"))
    }

    @Test("cT5, cT14: the process ends after its threads, but does not wait for daemons")
    func endOfProcess() async {
        let end = await #expect(
            processExitsWith: .success, observing: [\.standardOutputContent]
        ) {
            let mainIsOver = Event()
            Thread.atEnd = mainIsOver
            let waits = Thread(name: "waits") {
                mainIsOver.wait()
                Pause.briefly(upTo: .milliseconds(50))
                print("the thread is over")
                // One that starts now is waited for too.
                try Thread(name: "grandchild") { print("so is its child") }.start()
            }
            try waits.start()
            try Thread.detach("daemon") { while true { Pause.briefly(upTo: .seconds(1)) } }
            // Handlers run in the reverse order: this one before the wait for the threads.
            atexit {
                print("main is over")
                Thread.atEnd?.set()
            }
            exit(0)
        }
        let lines = text(end?.standardOutputContent).split(separator: "\n")
        let words = ["main is over", "the thread is over", "so is its child"]
        #expect(lines.map(String.init).filter(words.contains) == words)
    }

    // The sanitizer's own locks are not made for it: they hang in such a child.
    @Test(
        "cT8, cT9, cT17, cT18: forks from sixteen threads hang nobody; a child is one thread, its main one",
        .disabled(if: getenv("TSAN_OPTIONS") != nil))
    func forks() throws {
        let good = Tally()
        // This thread is not ours: it is known from now on, and not in the children.
        _ = Thread.current.name
        try Crew(16) { _ in
            let child = spool_fork()
            if child == 0 {
                alarm(300)
                let isAlone = Thread.activeCount == 1 && Thread.main.ident == Int(getpid())
                _exit(isAlone ? 50 : 51)
            }
            var status: Int32 = 0
            while waitpid(child, &status, 0) < 0 {}
            if (status >> 8) & 0xff == 50 && status & 0x7f == 0 { good.add() }
        }.join()
        #expect(good.value == 16)
    }

    @Test(
        "a thread that forks while others ask whether it lives leaves its child able to go on",
        .disabled(if: getenv("TSAN_OPTIONS") != nil))
    func watchedFork() throws {
        let (started, good) = (Event(), Tally())
        let forker = Thread(name: "forker", daemon: true) {
            started.wait()
            while good.value < 200, forksWell() { good.add() }
        }
        let crew = try Crew(4) { number in
            started.wait()
            while forker.isAlive {
                if number == 0 { try forker.join(timeout: .zero) }
                if number == 1 { _ = forker.ident }
            }
        }
        try forker.start()
        started.set()
        try crew.join()
        #expect(good.value == 200)
    }

    @Test(
        "a fork while other threads ask for the children leaves its child able to go on",
        .disabled(if: getenv("TSAN_OPTIONS") != nil))
    func familyFork() throws {
        let (good, over) = (Tally(), Event())
        let crew = try Crew(64) { _ in
            while !over.isSet { _ = ChildProcess.current }
        }
        let forker = try Crew { _ in
            while good.value < 150, forksWell() { good.add() }
            over.set()
        }
        try forker.join()
        try crew.join()
        #expect(good.value == 150)
    }
}

/// Whether what a forked child does holds, and ends at once, as it should; it is killed if it does not.
private func forksWell(_ holds: () throws -> Bool = { true }) -> Bool {
    let child = spool_fork()
    guard child != 0 else { _exit((try? holds()) == true ? 0 : 1) }
    var status: Int32 = 0
    if child < 0 || !eventually({ waitpid(child, &status, WNOHANG) == child }) {
        if child > 0 { kill(child, SIGKILL) }
        return false
    }
    return status == 0
}

extension Thread {
    /// What the handler of the end of a process of a test sets: a handler captures nothing.
    fileprivate nonisolated(unsafe) static var atEnd: Event?
}
