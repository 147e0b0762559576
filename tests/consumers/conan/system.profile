# Every requirement of Limbeck's recipe is answered by system/conanfile.py; laid over a detected profile.
[settings]
compiler.cppstd=20

[replace_requires]
boost/*: boost/system
eigen/*: eigen/system
xtensor/*: xtensor/system
xsimd/*: xsimd/system
thrust/*: thrust/system
nlohmann_json/*: nlohmann_json/system
zlib/*: zlib/system
dlpack/*: dlpack/system
openmpi/*: openmpi/system

[conf]
# Nothing is written into the folder of the recipe.
tools.cmake.cmaketoolchain:user_presets=
