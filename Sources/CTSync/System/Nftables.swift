// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
internal import CNftables
import Glibc
import Synchronization

/// Runs nftables commands in this process, through libnftables.
///
/// A context is not safe to share: each owner has one, used by one thread. It acts in the network
/// namespace of the thread that made it.
final class Nftables {
    private let context: OpaquePointer
    /// The library's list of devices is one for all contexts: without this one thread's call frees
    /// it under another's.
    private static let library = Mutex(())
    /// As many as a call opens at the same time, and a few for other threads.
    private static let descriptorsNeeded = 4

    /// Makes a context whose output and errors are kept in memory.
    ///
    /// - Parameter isStateless: lists no counters' values (nft's -s).
    /// - Throws: `NftablesError` if libnftables has none to give.
    init(isStateless: Bool = false) throws(NftablesError) {
        try Self.requireDescriptors(for: "")
        guard let context = nft_ctx_new(UInt32(NFT_CTX_DEFAULT)) else {
            throw NftablesError(commands: "", message: "nft_ctx_new failed")
        }
        self.context = context
        guard nft_ctx_buffer_output(context) == 0, nft_ctx_buffer_error(context) == 0 else {
            nft_ctx_free(context)
            throw NftablesError(commands: "", message: "nft_ctx_buffer_output failed")
        }
        if isStateless {
            nft_ctx_output_set_flags(context, UInt32(NFT_CTX_OUTPUT_STATELESS))
        }
    }

    deinit {
        nft_ctx_free(context)
    }

    /// Runs commands as one transaction: all of them, or none.
    ///
    /// - Parameter commands: what nft(8) would read from a file.
    /// - Returns: what nft(8) would print.
    /// - Throws: `NftablesError` with what nft(8) would complain.
    func run(_ commands: String) throws(NftablesError) -> String {
        try Self.requireDescriptors(for: commands)
        let result = Self.library.withLock { _ in nft_run_cmd_from_buffer(context, commands) }
        let output = Self.text(nft_ctx_get_output_buffer(context))
        let complaint = Self.text(nft_ctx_get_error_buffer(context))
        guard result == 0 else {
            throw NftablesError(commands: commands, message: complaint)
        }
        return output
    }

    /// Has the kernel examine commands as `run` would, without doing them.
    ///
    /// - Parameter commands: what nft(8) would read from a file.
    /// - Throws: `NftablesError` if `run` would throw it.
    func check(_ commands: String) throws(NftablesError) {
        nft_ctx_set_dry_run(context, true)
        defer { nft_ctx_set_dry_run(context, false) }
        _ = try run(commands)
    }

    /// The library ends the process if it cannot open a socket.
    private static func requireDescriptors(for commands: String) throws(NftablesError) {
        var opened: [CInt] = []
        defer { for raw in opened { close(raw) } }
        for _ in 0..<descriptorsNeeded {
            let raw = ctsync_eventfd()
            guard raw >= 0 else {
                let reason = String(cString: strerror(errno))
                throw NftablesError(commands: commands, message: "not asked: \(reason)")
            }
            opened.append(raw)
        }
    }

    private static func text(_ characters: UnsafePointer<CChar>?) -> String {
        guard let characters else { return "" }
        return String(cString: characters)
    }
}

/// nftables commands that were refused.
struct NftablesError: Error, CustomStringConvertible {
    /// What was to be run.
    let commands: String
    /// Why not, in libnftables' words.
    let message: String

    /// Records a refusal.
    init(commands: String, message: String) {
        self.commands = commands
        self.message = message
    }

    /// The message.
    var description: String {
        "nftables: \(message)"
    }
}
