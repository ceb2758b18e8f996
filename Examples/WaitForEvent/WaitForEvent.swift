// WaitForEvent.swift - a thread that waits until another one says that something is so.
//
//     swift run WaitForEvent

import Spool

@main
enum WaitForEvent {
    static func main() throws {
        let event = Event()
        let hasLooked = Event()
        let waiter = Thread {
            print("waiter: the event is set: \(event.isSet)")
            hasLooked.set()
            if try !event.wait(timeout: .milliseconds(10)) { print("waiter: not yet") }
            print("waiter: waits")
            hasLooked.set()
            event.wait()
            print("waiter: the event is set: \(event.isSet)")
        }
        let setter = Thread {
            hasLooked.wait()
            hasLooked.clear()
            hasLooked.wait()
            event.set()
        }
        for thread in [waiter, setter] { try thread.start() }
        for thread in [waiter, setter] { try thread.join() }
        event.clear()
        print("main: after clear it is set: \(event.isSet)")
    }
}
