#include <limbeck/trainer/archive.hpp>

int main() { return 0; }
