// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc
package import Logging

/// The daemon: prepares the machine, then waits for signals, the control file, the control socket
/// and the news of a higher master, until it is told to end.
///
/// Thread: the process's first. Everything it makes on the machine it takes away at an orderly stop;
/// a killed daemon leaves only what the next one adopts.
package final class Daemon {
    private let configuration: Configuration
    private let log: Logger
    let node: Node
    private let signals: Descriptor
    private let links: LinksUpkeep
    private let controlSocket: ControlSocket
    /// For those who may look and order nothing; nil if there is no group of them.
    private let viewSocket: ControlSocket?
    let roleFile: RoleFile
    private var lock: InstanceLock
    let disk: DiskWriter
    private var diskThread: WorkerThread?
    private var isEnding = false
    private var pause = Pause.none
    var observer: Observer
    private var watch = OverrunWatch()
    var service = ServiceNotify()
    private var startPages = StartPages(now: Clock.now())

    /// How often addresses and counters are looked at, and the service manager hears of us.
    private static let tick = 1 * Duration.second

    /// Runs a daemon until SIGTERM or SIGINT.
    ///
    /// - Parameter reader: reads the settings again; those of the key are taken then.
    /// - Returns: the exit status: 0 after an orderly stop, 71 (EX_OSERR) where the system fails it.
    /// - Throws: `ConfigurationError` where it cannot start; nothing is changed on the machine then.
    package static func run(
        _ configuration: Configuration, log: Logger,
        reader: @escaping () throws(ConfigurationError) -> Configuration
    ) throws(ConfigurationError) -> Int32 {
        let keys = try KeyUpkeep(configuration, log: log, reader: reader)
        let plan = try LinkPlan(configuration)
        let lock = try InstanceLock(controlFile: configuration.controlFile)
        let darkness = configuration.l2drop ? try Darkness(configuration, log: log) : nil
        let daemon: Daemon
        do throws(SystemError) {
            daemon = try Daemon(configuration, plan, keys, darkness, lock, log)
        } catch {
            let isForbidden = error.errno == EPERM || error.errno == EACCES
            let isLowPort = error.errno == EACCES && error.call.hasPrefix("bind to port")
            throw ConfigurationError(
                "ct_sync cannot start: \(error)\(isLowPort ? "; it needs CAP_NET_BIND_SERVICE" : "")",
                at: isForbidden ? .notAllowed : .notReady)
        }
        do throws(SystemError) {
            try daemon.loop()
            return 0
        } catch {
            log.critical("giving up: \(error)")
            return 71
        }
    }

    private init(
        _ configuration: Configuration, _ plan: LinkPlan, _ keys: KeyUpkeep,
        _ darkness: Darkness?, _ lock: consuming InstanceLock, _ log: Logger
    ) throws(SystemError) {
        self.configuration = configuration
        self.log = log
        signals = try Descriptor("signalfd") { ctsync_signalfd() }
        signal(SIGPIPE, SIG_IGN)
        links = try LinksUpkeep(plan, configuration, log: log)
        keys.tell()
        let epochFile = EpochFile(controlFile: configuration.controlFile)
        let diskEpoch = epochFile.epoch
        do throws(SystemError) {
            node = try Node(
                configuration, links: SyncLinks(links.sockets), keys: keys,
                darkness: darkness, log: log)
            controlSocket = try ControlSocket(controlFile: configuration.controlFile)
            roleFile = try RoleFile(path: configuration.controlFile, log: log)
            disk = try DiskWriter(epochFile) { trouble in
                log.warning(
                    """
                    the epoch cannot be saved for the next boot (\(trouble)); if the clock is \
                    behind then, this node learns the epoch from the others
                    """)
            }
            diskThread = try disk.start()
        } catch {
            links.remove()
            throw error
        }
        node.engine.remember(
            epoch: max(lock.epoch, diskEpoch), last: lock.last, hasMore: lock.hasMore,
            wallMicroseconds: Clock.wallMicroseconds())
        observer = Observer(controlFile: configuration.controlFile, disk: disk, log: log)
        self.lock = lock
        viewSocket = Self.viewSocket(configuration, log)
        Self.keepSettings(log)
        node.steps.recordEpoch = { [unowned self] epoch in record(epoch) }
        node.steps.recordLast = { [unowned self] word, hasMore in
            self.lock.record(last: word, hasMore: hasMore)
        }
    }

    // MARK: The loop

    private func loop() throws(SystemError) {
        let leftover = roleFile.leftover()
        do throws(SystemError) {
            try node.begin(as: configuration.state ?? leftover ?? .slave)
        } catch {
            withdraw()
            throw error
        }
        publish()
        observer.look(node, &service)
        service.ready()
        while !isEnding {
            wait()
            try readSignals()
            tickNode()
            readControlFile()
            controlSocket.serve { request in answer(request) }
            viewSocket?.serve { request in answer(request) }
            node.darkness?.work(now: Clock.now())
            links.work(now: Clock.now(), heard: node.heard)
            node.limitPackets()
            node.refreshAddresses()
            node.checkAddresses(now: Clock.now())
            node.lookForLeftDrops()
            watch.look(node)
            record(node.engine.highestEpoch)
            observer.look(node, &service)
            startPages.look(now: Clock.now())
            service.alive(now: Clock.now())
        }
        service.stopping()
        end()
    }

    private func tickNode() {
        do throws(SystemError) {
            let (hasChanged, next) = try node.tick()
            pause = next
            if hasChanged { publish() }
        } catch {
            refused(error)
        }
    }

    /// A promotion that the system refuses costs a daemon its process as little as its role: the role is
    /// the one that it was, and the file says so.
    func refused(_ error: SystemError) {
        log.critical("the role cannot be changed: \(error)")
        pause = .untilWoken
        roleFile.setStale()
    }

    private func wait() {
        let descriptors =
            [
                signals.raw, roleFile.raw, controlSocket.raw, node.superseded.raw,
                viewSocket?.raw ?? -1,
                node.darkness?.events ?? -1,
            ] + links.events
        var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        var tick = Self.tick
        switch pause {
        case .none: tick = 0
        case .until(let instant):
            let now = Clock.now()
            tick = min(tick, max(instant, now) - now)
        case .untilWoken: break
        }
        let dark = node.darkness?.patience(now: Clock.now()) ?? tick
        let watchdog = max(service.watchdogInterval ?? tick, Duration.millisecond)
        let now = Clock.now()
        let time = min(tick, watchdog, dark, observer.patience(now: now))
        waitAndGoOn(&polled, until: now + time)
    }

    /// Waits for something to do. A piece of a long answer, of which there are a thousand a second, is none:
    /// it is sent from here.
    private func waitAndGoOn(_ polled: inout [pollfd], until end: Instant) {
        repeat {
            let now = Clock.now()
            let rest = CInt((max(end, now) - now) / Duration.millisecond)
            guard poll(&polled, UInt(polled.count), rest) > 0 else { return }
            for waiting in polled where waiting.revents != 0 {
                let socket = [controlSocket, viewSocket].first { $0?.raw == waiting.fd } ?? nil
                guard let socket, socket.goOn() else { return }
            }
        } while Clock.now() < end
    }

    /// Keeps the highest epoch: in the lock file, and where it outlives a boot.
    private func record(_ epoch: UInt64) {
        lock.record(epoch)
        disk.record(epoch)
    }

    private func end() {
        log.info("stopping")
        node.end()
        disk.end()
        diskThread.take()?.join()
        roleFile.remove()
        withdraw()
    }

    /// Takes away what the start has made, but for the control file.
    private func withdraw() {
        controlSocket.remove()
        viewSocket?.remove()
        links.remove()
    }

    private func readSignals() throws(SystemError) {
        var information = [UInt8](repeating: 0, count: 128)
        let count = try retryingNonBlocking("signalfd") {
            read(signals.raw, &information, information.count)
        }
        guard count != nil else { return }
        let number = information.withUnsafeBytes { $0.load(as: UInt32.self) }
        if number == UInt32(SIGHUP) {
            rekey()
        } else {
            isEnding = true
        }
    }

    /// SIGHUP: what went wrong is in the log.
    private func rekey() {
        do throws(ConfigurationError) {
            _ = try node.rekey()
        } catch {
            return
        }
    }

    // MARK: Control file

    private func readControlFile() {
        switch roleFile.take() {
        case .none:
            if roleFile.isStale { publish() }
        case .role(let role):
            obey(role)
            publish()
        case .refused(let text):
            log.error(
                """
                "\(text)" was written to \(configuration.controlFile); \
                master, slave, 1 and 0 are allowed
                """)
            publish()
        case .deleted:
            publish()
        }
    }

    private func obey(_ role: Role) {
        do throws(SystemError) {
            _ = try node.order(role)
        } catch {
            refused(error)
        }
    }

    /// Writes the role to the control file, if it is not to change again before that.
    func publish() {
        roleFile.publish(node) { obey($0) }
    }
}
