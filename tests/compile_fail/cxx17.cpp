// expect: limbeck needs C++20
// flags: -std=c++17
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

int main() {
#ifndef LIMBECK_CONTROL
  
#else
  
#endif
}
