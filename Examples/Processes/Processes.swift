// Processes.swift - processes that do some work, one that ends with its parent, and what a parent knows of them.
//
//     swift run Processes

import Glibc
import Spool

/// What the tutorial's Process gets as args and kwargs.
struct Person: Codable, Sendable {
    let number: Int
    let name: String
    let age: Int
}

let work = ChildEntry("work") { (person: Person) in
    print("number \(person.number), name \(person.name), age \(person.age)")
    print("\(ChildProcess.current.name): a child of \(ChildProcess.parent?.name ?? "nobody")")
}

let endless = ChildEntry("endless") {
    while true { pause() }
}

@main
enum Processes {
    static func main() throws {
        ChildProcess.serveIfAsked(work, endless)

        let child = ChildProcess(work, Person(number: 1, name: "lczmx", age: 22), name: "worker")
        try child.start()
        try child.join()
        print("worker ended: \(try child.exitStatus?.reason ?? "well")")

        let daemon = ChildProcess(endless, name: "endless", daemon: true)
        try daemon.start()
        print("endless is alive: \(try daemon.isAlive)")
        let other = ChildProcess(endless)
        try other.start()
        try other.terminate()
        try other.join()
        print("\(other.name) ended: \(try other.exitStatus?.reason ?? "well")")
        print("main: exit")
    }
}
