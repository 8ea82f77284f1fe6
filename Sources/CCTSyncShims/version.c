/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctsync_version.h"

#ifndef CT_SYNC_COMMIT
#define CT_SYNC_COMMIT ""
#endif

const char *ctsync_commit(void)
{
    return CT_SYNC_COMMIT;
}
