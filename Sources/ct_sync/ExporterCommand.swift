// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync
import Glibc

/// `ct_sync exporter`: becomes ct_sync-exporter, a program of its own as its HTTP server weighs more
/// than the daemon.
struct ExporterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync exporter",
        abstract: "Serves metrics and a page by HTTP.",
        discussion: """
            /metrics for Prometheus, /status.json (as ct_sync status --json), and / with a page of \
            the cluster as this node knows it. It asks the daemon once a second, whoever looks, \
            and needs no more rights than to ask it: root, or the group ct_sync. Nothing can be \
            changed through it; there is no password either.
            """)

    @Option(
        help: ArgumentHelp(
            "Where it listens; an IPv6 address in brackets.", valueName: "address:port"))
    var listen = "127.0.0.1:9378"

    @Option(
        help: ArgumentHelp(
            "The daemon's control file.", valueName: "path"))
    var controlFile = Configuration.defaultControlFile

    /// Where the program is: beside this one, or where a package puts it.
    private static let name = "ct_sync-exporter"

    func run() throws {
        _ = try ListenAddress(text: listen)
        let places = [OwnProgram.directory, "\(OwnProgram.directory)/../lib/ct_sync"]
            .map { "\($0)/\(Self.name)" }
        for place in places where access(place, X_OK) == 0 {
            let words = [place, "--listen", listen, "--control-file", controlFile]
            var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
            arguments.append(nil)
            execv(place, &arguments)
            throw ConfigurationError("\(place) cannot be run: \(String(cString: strerror(errno)))")
        }
        throw ConfigurationError(
            "\(Self.name) is not installed; it was looked for at \(places.joined(separator: ", "))")
    }
}
