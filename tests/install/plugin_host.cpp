#include <cstdio>

extern "C" long long renasnet_parameters();

int main() {
  std::printf("%lld\n", renasnet_parameters());
  return renasnet_parameters() == 827314 ? 0 : 1;
}
