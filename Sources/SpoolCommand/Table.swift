// Table.swift - columns that line up, whatever alphabet stands in them.

internal import SpoolThreads

/// One cell: its text is already safe to show, and is painted after it was measured.
struct Cell {
    var text: String
    var style: Style?

    init(_ text: String, _ style: Style? = nil) {
        self.text = text
        self.style = style
    }
}

struct Table {
    enum Side { case left, right }

    private let columns: [(title: String, side: Side)]
    private var rows: [[Cell]] = []

    init(_ columns: [(title: String, side: Side)]) { self.columns = columns }

    mutating func add(_ cells: [Cell]) { rows.append(cells) }

    /// No row is wider than the terminal; in a pipe nothing is cut.
    func write(on screen: Screen) throws(SpoolError) {
        let layout = layout(screen.width)
        try write(columns.map { Cell($0.title, .dim) }, layout, on: screen)
        for row in rows { try write(row, layout, on: screen) }
    }

    /// How many columns of the terminal there are, for each cell and before it.
    private struct Layout {
        var widths: [Int]
        var gap = Table.gap
        var total = Int.max
    }

    private func layout(_ terminal: Int?) -> Layout {
        let widths = columns.indices.map { column in
            rows.reduce(Display.width(columns[column].title)) {
                max($0, Display.width($1[column].text))
            }
        }
        var layout = Layout(widths: widths)
        guard let terminal, terminal < widths.reduce(columns.count * Table.gap, +) else {
            return layout
        }
        layout.total = terminal
        if terminal < Table.narrow { layout.gap = 1 }
        layout.widths = fitted(widths, to: terminal - columns.count * layout.gap)
        return layout
    }

    private static let gap = 2
    /// A terminal with fewer columns has none to spare between those of a table.
    private static let narrow = 60
    /// Less of a word can hardly be read.
    private static let leastWord = 4

    /// Takes from the widest column until all fit, as long as each can be read.
    private func fitted(_ widths: [Int], to room: Int) -> [Int] {
        let least = columns.indices.map(leastWidth)
        var fitted = widths.map { min($0, max(room, 0)) }
        var excess = fitted.reduce(-room, +)
        while excess > 0 {
            let wide = fitted.indices.filter { fitted[$0] > least[$0] }
            guard let widest = wide.max(by: { fitted[$0] < fitted[$1] }) else { break }
            fitted[widest] -= 1
            excess -= 1
        }
        return fitted
    }

    /// A number is shown whole, since a part of it is another one.
    private func leastWidth(_ column: Int) -> Int {
        guard columns[column].side == .right else { return Table.leastWord }
        return rows.reduce(0) { max($0, Display.width($1[column].text)) }
    }

    private func write(
        _ cells: [Cell], _ layout: Layout, on screen: Screen
    ) throws(SpoolError) {
        var line = ""
        var left = layout.total
        for (index, cell) in cells.enumerated() {
            let isLast = index == cells.count - 1
            left -= layout.gap
            guard left > 0 else { break }
            // What cannot be made narrow enough ends at the terminal's edge.
            let width = min(layout.widths[index], left)
            let text = Display.cut(cell.text, to: width)
            let padding = String(repeating: " ", count: width - Display.width(text))
            line += String(repeating: " ", count: layout.gap)
            switch columns[index].side {
            case .right: line += padding + screen.paint(text, cell.style)
            case .left: line += screen.paint(text, cell.style) + (isLast ? "" : padding)
            }
            left -= width
        }
        while line.hasSuffix(" ") { line.removeLast() }
        try screen.line(line)
    }
}

/// How many columns of a terminal text takes.
enum Display {
    static func width(_ text: String) -> Int {
        text.unicodeScalars.reduce(0) { $0 + width($1) }
    }

    /// As much as fits, with an ellipsis when something was cut.
    static func cut(_ text: String, to limit: Int) -> String {
        guard width(text) > limit else { return text }
        guard limit > 0 else { return "" }
        var kept = ""
        var used = 1
        for scalar in text.unicodeScalars {
            used += width(scalar)
            guard used <= limit else { break }
            kept.unicodeScalars.append(scalar)
        }
        return kept + "…"
    }

    private static func width(_ scalar: Unicode.Scalar) -> Int {
        guard scalar.value >= 0x300 else { return 1 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        // Half of a flag; two of them are as wide as one wide character.
        if 0x1F1E6...0x1F1FF ~= scalar.value { return 1 }
        if scalar.properties.isEmojiPresentation { return 2 }
        switch scalar.value {
        case 0x1100..<0x1160, 0x2E80..<0x303F, 0x3041..<0xA4D0, 0xA960..<0xA980, 0xAC00..<0xD7A4,
            0xF900..<0xFB00, 0xFE10..<0xFE20, 0xFE30..<0xFE70, 0xFF00..<0xFF61, 0xFFE0..<0xFFE7,
            0x16FE0..<0x18E00, 0x1AFF0..<0x1B300, 0x1F200..<0x1F270, 0x1F300..<0x1F650,
            0x1F680..<0x1F700, 0x1F900..<0x1FA00, 0x20000..<0x40000:
            return 2
        default: return 1
        }
    }
}
