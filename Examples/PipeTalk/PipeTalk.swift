// PipeTalk.swift - two processes talk over a pipe.
//
//     swift run PipeTalk

import Glibc
import Spool

struct Order: Codable, Sendable {
    let number: Int
    let dish: String
    let isHot: Bool
}

let talk = ChildEntry("talk") { (connection: Connection) in
    let order: Order = try connection.recv()
    say("child: got \(order.number) \(order.dish) \(order.isHot)")
    try connection.send("\(order.dish) is ready")
    do {
        _ = try connection.recvBytes()
    } catch SpoolError.endOfFile {
        say("child: nobody will ask for more")
    }
}

@main
enum PipeTalk {
    static func main() throws {
        ChildProcess.serveIfAsked(talk)

        let pipe = try Pipe()
        let child = ChildProcess(talk, pipe.second)
        try child.start()
        pipe.second.close()  // the child has its own copy

        try pipe.first.send(Order(number: 1, dish: "noodle soup", isHot: true))
        say("parent: \(try pipe.first.recv(String.self))")
        pipe.first.close()
        try child.join()
    }
}

/// A line that everybody sees at once, also of a process that is killed later.
func say(_ line: String) {
    print(line)
    fflush(nil)
}
