import ArgumentParser
import Verification

/// `--wait-open-transactions` of commands that take a census.
struct PatienceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "How long a census waits for open transactions that may attach a table, or take its name (default: 10s).",
            valueName: "duration"))
    var waitOpenTransactions: DurationArgument?

    var definitions: Duration { waitOpenTransactions?.duration ?? SnapshotHold.usualDefinitionPatience }
}
