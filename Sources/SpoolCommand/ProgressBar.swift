// ProgressBar.swift - how far a join has come, on stderr.
//
// A terminal that can redraw a line gets a bar, at most 10 frames a second. Elsewhere a line when the numbers changed,
// at most every 10 s. With --json the same as objects on stdout.

internal import SpoolJobs
internal import SpoolThreads

struct ProgressBar {
    private static let frame = Duration.milliseconds(100)
    private static let report = Duration.seconds(10)
    private static let cells = 32

    private let title: String
    private let screen: Screen
    private let begin = Deadline.now()
    private var next = Deadline(nanoseconds: 0)
    private var shown: JoinProgress?
    private var isDrawn = false
    private var isAway = false

    init(title: String, screen: Screen) {
        self.title = title
        self.screen = screen
        // A join that has nothing to wait for says nothing; the first line of a log comes when something changed.
        if !screen.canRedraw || screen.settings.isJSON {
            next = Deadline(after: screen.settings.isJSON ? .zero : ProgressBar.report)
        }
    }

    mutating func show(_ progress: JoinProgress, at now: Deadline) {
        guard progress != shown || isAway, now >= next || progress.isFinished else { return }
        isAway = false
        guard !(progress.isFinished && shown == nil) else { return }
        defer { shown = progress }
        if screen.settings.isJSON {
            next = Deadline(after: ProgressBar.frame)
            writeJSON(progress)
        } else if screen.settings.isQuiet {
            next = .never
        } else if screen.canRedraw {
            next = Deadline(after: ProgressBar.frame)
            draw(line(progress, at: now, width: Screen.columns(of: 2)))
        } else if !progress.isFinished {
            next = Deadline(after: ProgressBar.report)
            screen.say(text(progress, at: now))
        }
    }

    /// Takes the bar away for a line that is to stand above it; the next look draws it again.
    mutating func makeRoom() {
        guard isDrawn else { return }
        _ = Descriptor.write(Array("\r\u{1B}[K".utf8), to: 2)
        isDrawn = false
        (isAway, next) = (true, Deadline(nanoseconds: 0))
    }

    /// Leaves the last frame and goes on below it.
    func end() {
        if isDrawn { _ = Descriptor.write(Array("\n".utf8), to: 2) }
    }

    private mutating func draw(_ line: String) {
        isDrawn = true
        _ = Descriptor.write(Array("\r\u{1B}[K\(line)".utf8), to: 2)
    }

    private func writeJSON(_ progress: JoinProgress) {
        do throws(SpoolError) {
            var object = ProgressBar.json("progress", progress)
            object.set("v", 1)
            try screen.line(object)
            try screen.flush()
        } catch {
            screen.report(error)
        }
    }

    static func json(_ type: String, _ progress: JoinProgress) -> JSONObject {
        var object = JSONObject()
        object.set("type", type)
        object.set("total", progress.total)
        object.set("done", progress.done)
        object.set("failed", progress.failed)
        object.set("running", progress.running)
        object.set("scheduled", progress.scheduled)
        object.set("next_due_at", progress.nextDue)
        return object
    }

    private func text(_ progress: JoinProgress, at now: Deadline) -> String {
        let finished = progress.done + progress.failed
        return (title.isEmpty ? "" : title + "  ")
            + "\(finished)/\(progress.total)  " + details(progress, at: now)
    }

    private func line(_ progress: JoinProgress, at now: Deadline, width: Int) -> String {
        let finished = progress.done + progress.failed
        let share = progress.total > 0 ? Double(finished) / Double(progress.total) : 1
        let details = details(progress, at: now)
        let head = title.isEmpty ? "" : title + "  "
        let count = "  \(finished)/\(progress.total)  \(Int(share * 100)) %  "
        let room = width - Display.width(head + count + details) - 1
        let cells = min(ProgressBar.cells, max(0, room))
        return Display.cut(
            head + ProgressBar.bar(share, cells: cells) + count + details, to: width - 1)
    }

    private static func bar(_ share: Double, cells: Int) -> String {
        let full = Int(share * Double(cells))
        let edge = full < cells ? "╸" : ""
        return String(repeating: "━", count: full) + edge
            + String(repeating: "─", count: max(0, cells - full - 1))
    }

    private func details(_ progress: JoinProgress, at now: Deadline) -> String {
        let finished = progress.done + progress.failed
        let seconds = Double(now.nanoseconds - begin.nanoseconds) / 1e9
        var parts: [String] = []
        if finished > 0, seconds > 1, !progress.isFinished {
            let rate = Double(finished) / seconds
            parts.append(rate >= 10 ? "\(Int(rate))/s" : "\(Double(Int(rate * 10)) / 10)/s")
            let left = Double(progress.total - finished) / rate
            parts.append("ETA " + Phrases.long(.seconds(Int64(left.rounded(.up)))))
        }
        if progress.done > 0 { parts.append("✔ \(Phrases.grouped(progress.done))") }
        if progress.failed > 0 { parts.append("✖ \(Phrases.grouped(progress.failed))") }
        if progress.running > 0 { parts.append("▶ \(Phrases.grouped(progress.running))") }
        if progress.scheduled > 0 {
            let due = progress.nextDue.map { ", the next at \(Times.local($0, now: .now()))" }
            parts.append("\(Phrases.grouped(progress.scheduled)) scheduled\(due ?? "")")
        }
        return parts.joined(separator: "  ")
    }
}
