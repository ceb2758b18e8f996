// ConsumerLinkTests.swift - the supervisor's end of a line whose other end has gone mad.

import Glibc
import SpoolJobs
import SpoolProcesses
import SpoolThreads
import Testing

@testable import SpoolWorker

@Suite("The line to a consumer") struct ConsumerLinkTests {
    let setup = ConsumerSetup(
        file: "", logs: "", worker: "", program: "", logLimit: 0, killAfter: .zero)

    /// What is heard of these bytes, and the end at which it was heard.
    func hear(_ fill: (inout FrameWriter) -> Void) throws -> (ConsumerLink, ConsumerLink.News) {
        let (ours, theirs) = try Descriptor.sockets(packets: false).release()
        defer { close(theirs) }
        let link = ConsumerLink(slot: 0, cell: 0, owning: ours, setup)
        var writer = FrameWriter()
        fill(&writer)
        _ = try writer.flush(to: theirs, waiting: true)
        return (link, try link.listen())
    }

    @Test("R12: keeps what was said before nonsense, and hears no more of it")
    func nonsense() throws {
        let noon = UnixTime(microseconds: 1_800_000_000_000_000)
        let claim = Claim(job: 7, attempt: 1, owner: 1)
        let (link, news) = try hear {
            $0.putHello(pid: 12)
            $0.put(Outcome(claim, .done, Run(started: noon, ended: noon)))
            $0.begin(99)
            $0.end()
        }
        #expect(news.saidHello && news.outcomes.map(\.claim) == [claim])
        #expect(link.isClosed && !link.isBuried)
    }

    @Test(
        "R12: takes no process for a consumer that cannot be one, nor a second one",
        arguments: [-1, 0, 1])
    func processes(_ pid: Int32) throws {
        let (link, news) = try hear { $0.putHello(pid: pid) }
        #expect(link.isClosed && link.pid == nil && !news.saidHello)
        let (other, _) = try hear {
            $0.putHello(pid: 12)
            $0.putHello(pid: 13)
        }
        #expect(other.isClosed && other.pid == 12)
    }
}
