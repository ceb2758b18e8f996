// SimpleThreads.swift - threads that do some work, and a main thread that waits for them.
//
//     swift run SimpleThreads

import Glibc
import Spool

@main
enum SimpleThreads {
    static func main() throws {
        let me = getpid()
        let first = Thread(name: "first") { work(12, 123, age: 20, of: me) }
        let second = Thread(name: "second") { work(1, 3, age: 20, of: me) }

        try first.start()
        try first.join()
        try second.start()
        try second.join()
        print("first is alive: \(first.isAlive), second is alive: \(second.isAlive)")
    }

    static func work(_ a: Int, _ b: Int, age: Int, of process: pid_t) {
        print("\(Thread.current.name): \(a) \(b), age \(age)")
        print("\(Thread.current.name): in the same process: \(getpid() == process)")
    }
}
