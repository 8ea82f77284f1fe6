// SPDX-License-Identifier: GPL-2.0-or-later

/// What becomes of the clauses that no setting of ct_sync is made of: nothing, and why.
enum Remarks {
    /// The remark about a clause.
    static func remark(_ clause: Clause) -> String {
        let isOff = clause.value == "off"
        return (isOff ? ofSwitchedOff[clause.name] : nil) ?? always[clause.name] ?? ""
    }

    /// `From Userspace`, `From Kernelspace`.
    static let filterPlace =
        "rules at the end; nothing else: what the kernel can decide is decided there"

    private static let cached =
        "cannot be had: replicas are always in the kernel, so that a takeover has nothing to commit"
    private static let journal =
        "nothing: messages go to standard error, with systemd to the journal "
        + "(journalctl -u ct_sync); log-level says which"
    private static let buffer = "nothing: ct_sync sizes its buffers itself"
    private static let obsolete = "nothing: it has no effect in conntrackd either"

    private static let ofSwitchedOff = [
        "DisableExternalCache": cached,
        "Checksum": "cannot be switched off: every packet has a checksum",
        "TCPWindowTracking": "cannot be switched off: TCP windows are tracked after a takeover",
        "ExpectationSync": "cannot be switched off: expectations are replicated",
        "NetlinkOverrunResync": "cannot be switched off: an initsync repairs what lost events said",
    ]

    /// By the clauses' names; those that only open a section, or belong to a helper, need no words.
    static let always = [
        "Sync": "", "General": "", "Options": "", "UNIX": "", "Filter": "",
        "Mode": "nothing: packets are always numbered, and lost ones are sent again",
        "CommitTimeout":
            "nothing: there is no commit; the connections are in the standby's kernel",
        "PurgeTimeout":
            "nothing: a node that becomes slave removes what the master does not have",
        "ACKWindowSize": "nothing: packets are not acknowledged; a slave names what it misses",
        "ResendBufferSize": "nothing: ring-slots is the number of packets that can be sent again",
        "DisableExternalCache":
            "nothing: always so; replicas are in the kernel and do not age there. Stop conntrackd "
            + "before ct_sync starts: in this mode the two would answer each other's entries",
        "DisableInternalCache": "nothing: always so; a master keeps no table but the kernel's",
        "CacheWriteThrough": "nothing: replicas are always in the kernel",
        "StartupResync": "nothing: a slave that starts asks for the whole table",
        "RefreshTime": "nothing: a change is sent once, and again if it was lost",
        "CacheTimeout": "nothing: replicas do not age on a slave",
        "Checksum": "nothing: every packet has a checksum",
        "SndSocketBuffer": buffer, "RcvSocketBuffer": buffer, "McastSndSocketBuffer": buffer,
        "McastRcvSocketBuffer": buffer, "NetlinkBufferSize": buffer,
        "NetlinkBufferSizeMaxGrowth": buffer, "SocketBufferSize": buffer,
        "SocketBufferSizeMaxGrown": buffer, "SocketBufferSizeMaxGrowth": buffer,
        "ErrorQueueLength": "nothing: it belongs to TCP",
        "TCPWindowTracking": "nothing: always so, window scaling included",
        "ExpectationSync": "nothing: always so, for the expectations of all helpers",
        "Systemd": "nothing: if systemd starts the daemon, it is told of readiness and watchdog",
        "Nice": "nothing: the unit has Nice=-10 (another by systemctl edit ct_sync)",
        "Scheduler": "nothing: with systemd, CPUSchedulingPolicy= (systemctl edit ct_sync)",
        "Type": "", "Priority": "",
        "HashSize": "nothing: max-entries sizes the tables",
        "LogFile": journal, "Syslog": journal,
        "LockFile": "nothing: the lock is beside the control file",
        "Path": "nothing: the control file is /run/ct_sync/state; control-file moves it",
        "Backlog": obsolete, "RelaxTransitions": obsolete, "DelayDestroyMessages": obsolete,
        "StripNAT": obsolete, "DestroyTimeout": obsolete, "ListenTo": obsolete,
        "NetlinkOverrunResync": "nothing: an initsync repairs what lost events said",
        "NetlinkEventsReliable": "nothing: lost events are repaired, not prevented",
        "PollSecs":
            "cannot be had: ct_sync follows the kernel's events; reconcile sets how often it walks "
            + "the table as well",
        "EventIterationLimit": "nothing: events and packets have threads of their own",
        "Family": "nothing: IPv4 and IPv6 are both replicated",
        "QueueNum": "", "QueueLen": "", "Policy": "", "ExpectMax": "", "ExpectTimeout": "",
        "Helper":
            "cannot be had: ct_sync has no helpers in user space; keep conntrackd for them, with "
            + "General and Helper in its file and without Sync. The kernel's own helpers are "
            + "replicated",
    ]
}
