// DaemonThreads.swift - the process waits for its threads, but not for daemons.
//
//     swift run DaemonThreads

import Spool

@main
enum DaemonThreads {
    static func main() throws {
        let forever = Event()
        let mainHasEnded = Event()
        let short = Thread(daemon: true) { print("short: done") }
        let endless = Thread(daemon: true) {
            forever.wait()
            print("endless: nobody will see this")
        }
        let loyal = Thread {
            mainHasEnded.wait()
            print("loyal: the process waits for me")
        }
        for thread in [short, endless, loyal] { try thread.start() }

        try short.join()
        print("short is alive: \(short.isAlive)")
        print("endless is alive: \(endless.isAlive)")
        print("main: exit")
        mainHasEnded.set()
    }
}
