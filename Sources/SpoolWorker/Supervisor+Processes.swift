// Supervisor+Processes.swift - the supervisor's children: fork server, consumers, and the orphans below them.

private import CSpool
private import Glibc
internal import SpoolJobs
internal import SpoolProcesses
internal import SpoolSelectors
internal import SpoolThreads

/// How a program takes part in a worker.
public enum Worker {
    /// If this process was started to be a worker's fork server, it is one until the worker ends; else nothing happens.
    ///
    /// Call it first of all, while there is one thread and nothing is open. When the worker is killed or crashes,
    /// one line on its standard error says so, which jobs it was at, and how to go on.
    /// - Parameter program: Name and version, for that line.
    public static func becomeConsumerIfAsked(_ program: String = "spool") {
        let tell = { (jobs: [Int64]) in
            var line = orphanage(program, jobs)
            line.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
        }
        ForkServer.serveIfAsked(orphaned: tell, Consumer.live)
    }

    private static func orphanage(_ program: String, _ jobs: [Int64]) -> String {
        let numbers = jobs.sorted().map(String.init).joined(separator: ", ")
        let them =
            switch jobs.count {
            case 0: "no job ran"
            case 1: "job \(numbers) ran and is ready again"
            default: "jobs \(numbers) ran and are ready again"
            }
        return "\(program): the worker was killed or crashed; \(them). Go on with:  spool work\n"
    }

    /// So many consumers a worker may have: their slots are not used again soon.
    public static let mostConsumers = SlotPage.limit / 4

    /// Cores that this process may use: how many consumers a worker has unless told.
    public static var usableCores: Int { Int(spool_usable_cores()) }
}

extension Supervisor {
    /// Watches a new server, and shares our lifelines with it: our claims stay ours until the last consumer has ended,
    /// even if we die before it.
    /// - Throws: `system` when the server was killed meanwhile, or memory is short; it is given up then.
    func adoptServer() throws(SpoolError) {
        guard let server else { return }
        do throws(SpoolError) {
            try selector.register(server.socket, .read, token: Token.server)
            for lifeline in store.lifelines { try server.hold(lifeline) }
        } catch {
            // Without the lifelines its consumers would outlive our claims.
            try loseServer()
            throw error
        }
    }

    func fork(_ slot: Int) throws(SpoolError) {
        // The server was lost before it was asked for this one, and the next one was asked.
        guard links[slot] == nil else { return }
        do throws(SpoolError) {
            try startConsumer(slot)
        } catch ForkServer.silence {
            try endServer()
        } catch {
            report(error)
            links[slot].map { forget($0.socket) }
            links[slot] = nil
            try tell(.forkFailed(slot: slot))
        }
    }

    /// The next cell in turn that no consumer has.
    private func freeCell() -> Int {
        let taken = Set(links.compactMap { $0?.cell })
        repeat { lastCell = (lastCell + 1) % SlotPage.limit } while taken.contains(lastCell)
        return lastCell
    }

    private func startConsumer(_ slot: Int) throws(SpoolError) {
        let server = try livingServer()
        let (ours, theirs) = try Descriptor.sockets(packets: false).release()
        let end = Descriptor(owning: theirs)
        let link = ConsumerLink(slot: slot, cell: freeCell(), owning: ours, setup)
        slots.clear(link.cell)
        links[slot] = link
        try selector.register(ours, .read, token: slot)
        try server.fork(slot: link.cell, socket: end.number)
    }

    /// Stops listening.
    private func forget(_ socket: Int32) {
        // A socket that could not be registered, or was forgotten before, is not listened to: as wanted.
        _ = try? selector.unregister(socket)
    }

    private func livingServer() throws(SpoolError) -> ForkServer {
        if let server { return server }
        let fresh = try ForkServer.start(executable: executable, slots: slotsFile)
        server = fresh
        try adoptServer()
        return fresh
    }

    /// What stops one consumer stops the next ones too.
    private func report(_ error: SpoolError) {
        sayOnce("cannot start a consumer: \(error.message) Trying again.")
    }

    /// The same words once a minute: what is tried again may fail again and again.
    func sayOnce(_ text: String) {
        guard text != lastReport.text || lastReport.until.isPast else { return }
        lastReport = (text, Deadline(after: .seconds(60)))
        say(text)
    }

    /// The fork server tells only bad news.
    func hearServer() throws(SpoolError) {
        guard let server else { return }
        guard let refusal = server.refusal() else { return try loseServer() }
        report(.system(call: "fork", errno: refusal.errno))
        let refused = links.lazy.compactMap { $0 }.first { $0.cell == refusal.slot }
        guard let link = refused, link.pid == nil else { return }
        forget(link.socket)
        links[link.slot] = nil
        try tell(.forkFailed(slot: link.slot))
    }

    /// Another one is started with the next consumer.
    func endServer() throws(SpoolError) {
        sayOnce("the fork server did not answer and was killed; another one takes its place.")
        try loseServer()
    }

    /// The consumers live on: they are our children. One that was about to be born sees the end of its socket.
    private func loseServer() throws(SpoolError) {
        guard let server else { return }
        forget(server.socket)
        server.dismiss()
        self.server = nil
        for case let link? in links where link.pid == nil {
            forget(link.socket)
            links[link.slot] = nil
        }
        try tell(.serverDied)
    }

    /// The page first: what is in the socket then is all that it can have said of what it had begun.
    func bar(_ slot: Int) throws(SpoolError) {
        guard let link = links[slot] else { return }
        let running = slots.bar(link.cell)
        while links[slot] === link, !link.isClosed, try hear(link) {}
        guard links[slot] === link else { return }
        link.bar()
        try tell(.barred(slot: slot, running: running, at: .now()))
    }

    func hearConsumer(_ slot: Int) throws(SpoolError) {
        guard let link = links[slot] else { return }
        _ = try hear(link)
    }

    /// False: there was nothing to be heard.
    private func hear(_ link: ConsumerLink) throws(SpoolError) -> Bool {
        let slot = link.slot
        let news = try link.listen()
        if news.saidHello { try tell(.born(slot: slot)) }
        if !news.outcomes.isEmpty { try tell(.outcomes(slot: slot, news.outcomes)) }
        if news.isUnbarred { try tell(.unbarred(slot: slot)) }
        if link.isClosed { forget(link.socket) }
        if link.nonsense != nil, link.end == nil, let pid = link.pid { kill(pid, SIGKILL) }
        try buryIfDead(link)
        return !news.isAll
    }

    /// Takes every child that has ended.
    func reap() throws(SpoolError) {
        while let (pid, end) = ProcessEnd.reapAny() {
            if pid == server?.pid {
                try loseServer()
            } else if let link = try link(to: pid) {
                link.end = end
                try buryIfDead(link)
            }
        }
    }

    /// The line to a consumer that has just been reaped. Its hello may not have been heard yet; nil: it was none.
    private func link(to pid: Int32) throws(SpoolError) -> ConsumerLink? {
        func known() -> ConsumerLink? {
            links.lazy.compactMap { $0 }.first { $0.pid == pid && $0.end == nil }
        }
        if let link = known() { return link }
        for case let link? in links where link.pid == nil && links[link.slot] === link {
            _ = try hear(link)
        }
        return known()
    }

    /// Kills a consumer that has not done what it should have done. It may have, and told so while the disk kept us
    /// from listening.
    func endConsumer(_ slot: Int) throws(SpoolError) {
        guard let link = links[slot] else { return }
        while links[slot] === link, !link.isClosed, try hear(link) {}
        guard links[slot] === link, link.end == nil, let pid = link.pid, state.isToBeKilled(slot)
        else { return }
        kill(pid, SIGKILL)
    }

    private func buryIfDead(_ link: ConsumerLink) throws(SpoolError) {
        guard link.isBuried, links[link.slot] === link else { return }
        let slot = link.slot
        let group = slots.group(link.cell)
        if group > 1 { kill(-group, SIGKILL) }
        let running = slots.job(link.cell)
        if let claim = state.consumers[slot].held.first(where: { $0.job == running }) {
            Leftovers.end([claim], of: store.files.database)
        }
        links[slot] = nil
        let end = link.end.map { $0.reason ?? "it ended" } ?? "it never began"
        let cause = link.nonsense ?? end
        if link.pid == nil { sayOnce("a consumer ended before it was ready. Trying again.") }
        try tell(.died(slot: slot, running: running, cause: cause, at: .now()))
        slots.clear(link.cell)
    }

    /// Lets every child go. Whatever a consumer still runs ends with it.
    func end() {
        for case let link? in links {
            if let pid = link.pid, link.end == nil {
                kill(pid, SIGKILL)
                ProcessEnd.reap(pid)
            }
            // After its consumer, which could have begun another command.
            let group = slots.group(link.cell)
            if group > 1 { kill(-group, SIGKILL) }
        }
        links = []
        Leftovers.end(state.consumers.flatMap(\.held), of: store.files.database)
        // What commands left behind is ours, as their subreaper, while we are here.
        defer { while ProcessEnd.reapAny() != nil {} }
        server?.end()
        server = nil
    }
}
