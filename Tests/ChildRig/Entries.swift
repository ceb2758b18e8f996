// Entries.swift - what the rig's children do.

import CSpool
import Glibc
import SpoolProcesses
import SpoolThreads

struct Order: Codable, Equatable, Sendable {
    var number = 1
    var name = "lczmx"
    var list = [1.5, -2]
    var pair: [String: Int?] = ["a": nil, "b": 2]
}

/// Gives back over a connection what it got.
let work = ChildEntry("work") { (errand: Errand) in try errand.answer.send(errand.order) }

struct Errand: Codable, Sendable {
    let order: Order
    let answer: Connection
}

/// How many descriptors it has, and which threads.
let count = ChildEntry("count") { (answer: Connection) in
    try answer.send(openDescriptors())
    try answer.send([spool_thread_id(), getpid()])
}

/// Waits until it is killed; says that it is there.
let sleeper = ChildEntry("sleeper") { (answer: Connection) in
    try answer.send(getpid())
    while true { pause() }
}

/// Says that it is there, and sends every message back.
let talker = ChildEntry("talker") { (connection: Connection) in
    try connection.send(getpid())
    try answer(connection)
}

/// Ends with an error.
let fail = ChildEntry("fail") { (text: String) in throw SpoolError.badInput(text) }

/// Sends every message back, until the end.
let echo = ChildEntry("echo") { (connection: Connection) in try answer(connection) }

func answer(_ connection: Connection) throws {
    while true {
        do {
            try connection.sendBytes(connection.recvBytes())
        } catch SpoolError.endOfFile {
            return
        }
    }
}

/// Ends in different ways.
let exits = ChildEntry("exits") { (way: String) in
    switch way {
    case "exit": exit(8)
    case "status": throw ChildExit(9)
    case "text": throw ChildExit("no more flour")
    case "closed":
        for number in Int32(0)..<3 { close(number) }
        print("to nobody")
    case "thread":
        // The process waits for it.
        try Thread { throw ChildExit(1) }.start()
    default: break
    }
}

/// A child that passes its input on to a child of its own, and waits for it.
let passOn = ChildEntry("passOn") { (errand: Errand) in
    try errand.answer.send(errand.order)
    let method = ChildProcess.current.method
    let child = ChildProcess(work, errand)
    try check(child.method == method, "the grandchild is made as the child")
    try child.start()
    errand.answer.close()
    try child.join()
    try check(child.exitStatus?.exit == 0, "the grandchild is content")
}

struct Family: Codable, Sendable {
    let parent: Int32
    let parentName: String
    let name: String
    let daemon: Bool
    let method: StartMethod
    let isAlive: Bool
    let directory: String
}

/// Says what it knows about itself, and waits for its parent's end.
let family = ChildEntry("family") { (answer: Connection) in
    guard let parent = ChildProcess.parent else { throw SpoolError.empty }
    let own = ChildProcess.current
    try answer.send(
        Family(
            parent: parent.pid, parentName: parent.name, name: own.name, daemon: own.daemon,
            method: own.method ?? .fork, isAlive: parent.isAlive, directory: workingDirectory()))
    try parent.join()
    try check(!parent.isAlive, "the parent is gone")
    try answer.send("gone")
}

/// Tries to have a child.
let inspect = ChildEntry("inspect") { (answer: Connection) in
    let error = try expectError { try ChildProcess(fail, "").start() }
    try answer.send(error.message)
}

/// A process object with a loop of its own: answers until it is told to stop.
let server = ChildEntry("server") { (connection: Connection) in
    while let number = try connection.recv(Int?.self) { try connection.send(number * number) }
}

/// Writes to standard output without a line's end, as a buffer keeps it.
let noise = ChildEntry("noise") { (text: String) in print(text, terminator: "") }

func openDescriptors() -> Int {
    guard let folder = opendir("/proc/self/fd") else { return -1 }
    defer { closedir(folder) }
    var count = -3  // ".", ".." and the folder itself
    while readdir(folder) != nil { count += 1 }
    return count
}

func workingDirectory() -> String {
    guard let path = getcwd(nil, 0) else { return "" }
    defer { free(path) }
    return String(cString: path)
}
