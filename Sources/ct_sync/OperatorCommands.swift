// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync
import Glibc

/// `ct_sync flush`: empties the table of what is replicated.
struct FlushCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync flush",
        abstract: "Deletes the replicated connections from this node.",
        discussion: """
            On a slave: forgets the replicas, deletes them from the kernel and asks the master for \
            an initsync; refused without --yes while no master is heard. On a master: refused \
            without --yes; with it deletes the connections that it replicates from its own table, \
            which cuts them off, and its slaves follow. Entries that are not replicated stay. Exit \
            status 0: done; 1: not done, and why; 2: no daemon there; 77: not allowed.
            """)

    @OptionGroup var daemon: DaemonRequest

    @Flag(help: "Does it on a master too, and on a slave that hears no master.")
    var yes = false

    func run() throws {
        let lines = [ControlLine("set", "flush")] + (yes ? [ControlLine("yes", "1")] : [])
        throw ExitCode(daemon.run(lines))
    }
}

/// `ct_sync resync`: an initsync by hand.
struct ResyncCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync resync",
        abstract: "Has the master send its whole table again.",
        discussion: """
            On a slave: asks the master for an initsync now; the replicas stay meanwhile. On a \
            master: walks the table for all slaves. It does not wait for the end: ct_sync status \
            shows it. Exit status 0: asked for; 1: refused, and why; 2: no daemon there; 77: not \
            allowed.
            """)

    @OptionGroup var daemon: DaemonRequest

    func run() throws {
        throw ExitCode(daemon.run([ControlLine("set", "resync")]))
    }
}

/// `ct_sync initsync-rate`: the pace of initsyncs, of a running one too.
struct InitsyncRateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync initsync-rate",
        abstract: "Shows or sets the packets per second of this node's initsyncs.",
        discussion: """
            A new rate holds at once, also for a running initsync, until the daemon's restart. Exit \
            status 0: done; 1: refused, and why; 2: no daemon there; 77: not allowed.
            """)

    @OptionGroup var daemon: DaemonRequest

    @Argument(
        help: ArgumentHelp(
            "Packets per second, 0 for as fast as the slaves keep up. (default: shows the rate)",
            valueName: "number"))
    var rate: String?

    func validate() throws {
        guard let rate, UInt32(rate) == nil else { return }
        throw ValidationError(
            "the rate is \"\(rate)\" but must be a number from 0 to 4294967295 (packets per second)"
        )
    }

    func run() throws {
        guard let rate else {
            throw ExitCode(daemon.run([ControlLine("get", "initsync-rate")]))
        }
        throw ExitCode(
            daemon.run([ControlLine("set", "initsync-rate"), ControlLine("value", rate)]))
    }
}

/// A request to the running daemon, its answer and the exit status that follows from it.
struct DaemonRequest: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The daemon's control file.", valueName: "path"))
    var controlFile = Configuration.defaultControlFile

    /// Asks, prints what was done, or why it was not; returns the exit status.
    ///
    /// - Parameters:
    ///   - lines: the request.
    ///   - body: takes each line that is no connection of a list.
    ///   - entry: takes the words of such a connection, as UTF-8.
    func run(
        _ lines: [ControlLine], eachLine body: (ControlLine) -> Void = { _ in },
        eachEntry entry: (UnsafeRawBufferPointer) -> Void = { _ in }
    ) -> Int32 {
        var refusal: String?
        do throws(SystemError) {
            let number = try ControlClient.request(
                controlFile: controlFile, lines, listKey: EntryLine.key, eachValue: entry
            ) { line in
                switch line.key {
                case "error": refusal = line.value
                case "done": print(line.value)
                case "note": say(line.value)
                default: body(line)
                }
            }
            if number == 0 { return 0 }
            return fail(refusal ?? String(cString: strerror(number)), 1)
        } catch {
            switch error.errno {
            case ENOENT, ECONNREFUSED:
                return fail("no daemon answers beside \(controlFile): \(error)", 2)
            case EACCES, EPERM:
                return fail("you may not order the daemon beside \(controlFile): \(error)", 77)
            default:
                return fail("\(error)", 1)
            }
        }
    }

    private func fail(_ sentence: String, _ status: Int32) -> Int32 {
        say(sentence)
        return status
    }

    private func say(_ sentence: String) {
        let line = "ct_sync: \(sentence)\n"
        _ = write(STDERR_FILENO, line, line.utf8.count)
    }
}
