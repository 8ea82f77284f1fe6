// SPDX-License-Identifier: GPL-2.0-or-later

// Nothing to call: what is in here is found by its symbol.
