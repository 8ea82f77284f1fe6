print("ct_sync")
