// Samples.swift - the samples of README.md and docs/, so that they compile: SampleTests compares them line by line.
//
// Each stands in a function of its own, with what it takes for granted around it.

import Glibc
import Spool

enum Samples {
    static func readme() throws {
        func send(_ bytes: [UInt8]) throws {}

        let mail = try JobQueue("mail", in: JobStore("first.db"))
        try mail.put(#"{"to": "a@b"}"#)  // on disk when it returns

        try mail.work { job in  // returning is done; throwing is failed, to be retried
            try send(job.body.bytes)
        }
        try mail.join()  // until everything that was put is finished
    }

    static func threads() throws {
        let lock = Lock()
        let room = Semaphore(5)
        let ready = Event()

        let thread = Thread(name: "baker") {
            ready.wait()
            room.withAcquired { lock.withLock { print("one of at most five, and alone in here") } }
        }
        try thread.start()
        ready.set()
        try thread.join(timeout: .seconds(10))  // true: it has ended
    }

    static func futures(_ names: [String]) throws {
        @Sendable func fetch(_ name: String) throws -> String { name }

        try withThreadPool(maxWorkers: 8) { pool in
            let future = try pool.submit { try fetch("a") }
            print(try future.result(timeout: .seconds(10)))
            let pages = try pool.map(names, timeout: .seconds(60)) { name in try fetch(name) }
            while let page = try pages.next() { print(page) }  // in the order of the names
        }  // waits until all is done
    }

    static func sharedLocks() throws {
        @Sendable func repair() {}
        @Sendable func change() {}

        let lock = try SharedLock()
        let child = ChildProcess(forking: {  // has the lock, too
            try lock.withLock { previousOwnerDied in
                if previousOwnerDied { repair() }  // what the lock protects may be half changed
                change()
            }
        })
        try child.start()
    }

    static func processes() throws {
        func eat(_ dish: String) {}

        let queue = try SharedQueue<String>(maxsize: 1000)
        // In a child, which has the queue because it was forked, or because the queue was an argument of it:
        while (try? queue.work { dish in eat(dish) }) != nil {}  // ends when the queue is shut down
        // In the parent:
        for dish in ["soup", "bread"] { try queue.put(dish) }
        try queue.join()  // returns when both are eaten, whoever was killed meanwhile
        queue.shutdown()
    }

    static func queues() throws {
        let queue = Queue<String>(maxsize: 1024)
        try Thread.detach("eater") {
            // Ends when the queue is shut down.
            while (try? queue.work { dish in print("ate \(dish)") }) != nil {}
        }
        for dish in ["soup", "bread"] { try queue.put(dish) }
        try queue.join()  // returns when both are eaten
        queue.shutdown()
    }
}

/// Those of docs/children.md.
enum ChildSamples {
    struct Person: Codable, Sendable {
        let number: Int
        let name: String
        let age: Int
    }

    struct Order: Codable, Sendable {
        let number: Int
        let dish: String
        let isHot: Bool
    }

    static let endless = ChildEntry("endless") { while true { pause() } }

    static let talk = ChildEntry("talk") { (connection: Connection) in
        let order: Order = try connection.recv()
        try connection.send("\(order.dish) is ready")
    }

    static let square = ChildEntry("square") { (number: Int) -> Int in number * number }

    static func child() throws {
        let work = ChildEntry("work") { (person: Person) in
            print("number \(person.number), name \(person.name), age \(person.age)")
        }

        ChildProcess.serveIfAsked(work, endless)

        let child = ChildProcess(work, Person(number: 1, name: "lczmx", age: 22), name: "worker")
        try child.start()
        try child.join()
        print("worker ended: \(try child.exitStatus?.reason ?? "well")")
    }

    static func pipe() throws {
        let pipe = try Pipe()
        let child = ChildProcess(talk, pipe.second)
        try child.start()
        pipe.second.close()  // the child has its own copy

        try pipe.first.send(Order(number: 1, dish: "noodle soup", isHot: true))
        print("parent: \(try pipe.first.recv(String.self))")
    }

    static func pool() throws {
        try ProcessPool.with(maxWorkers: 4) { pool in
            let future = try pool.submit(square, 12)
            print("12 * 12 = \(try future.result())")
            print("squares: \(try pool.map(square, 1...10, chunk: 3).all())")
        }
    }
}
