// SPDX-License-Identifier: GPL-2.0-or-later

/// The version of the daemon and of its command line; not that of the wire format.
package let CTSyncVersion = "0.1.0"
