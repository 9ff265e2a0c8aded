import ArgumentParser
import Rotation

/// Options of the commands that enumerate.
struct OrderOptions: ParsableArguments {
    @Option(
        help: """
            key: rows by their ids. physical: as they are stored, for tables larger than memory whose ids are random on \
            disk. auto: decides table by table, and says so.
            """)
    var order: RowOrder = .auto
}

extension RowOrder: ExpressibleByArgument {}
