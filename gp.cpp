unsigned long long g_phase[16]; const char* g_name[16];
