int sys_call_count;
