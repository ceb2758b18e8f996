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

    /// The last column is cut at the width of the terminal, never in a pipe.
    func write(on screen: Screen) throws(SpoolError) {
        let widths = columns.indices.map { column in
            rows.reduce(Display.width(columns[column].title)) {
                max($0, Display.width($1[column].text))
            }
        }
        try write(columns.map { Cell($0.title, .dim) }, widths, on: screen)
        for row in rows { try write(row, widths, on: screen) }
    }

    private func write(
        _ cells: [Cell], _ widths: [Int], on screen: Screen
    ) throws(SpoolError) {
        var line = ""
        var used = 0
        for (index, cell) in cells.enumerated() {
            line += "  "
            used += 2
            let isLast = index == cells.count - 1
            var text = cell.text
            if isLast, let width = screen.width { text = Display.cut(text, to: width - used) }
            let padding = String(
                repeating: " ", count: max(0, widths[index] - Display.width(text)))
            switch columns[index].side {
            case .right: line += padding + screen.paint(text, cell.style)
            case .left: line += screen.paint(text, cell.style) + (isLast ? "" : padding)
            }
            used += widths[index]
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
        switch scalar.value {
        case 0x1100..<0x1160, 0x2E80..<0x303F, 0x3041..<0xA4D0, 0xAC00..<0xD7A4, 0xF900..<0xFB00,
            0xFE30..<0xFE70, 0xFF00..<0xFF61, 0xFFE0..<0xFFE7, 0x1F300..<0x1F650,
            0x1F680..<0x1F700, 0x1F900..<0x1FA00, 0x20000..<0x40000:
            return 2
        default: return 1
        }
    }
}
