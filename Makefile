# Forwards to CMake, which knows everything; `make help` lists what there is.
BUILD ?= build
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
CONFIGURE = cmake -S . -B $(BUILD) -DCMAKE_INSTALL_PREFIX=$(PREFIX) $(CMAKE_ARGS)

.PHONY: all help deps configure gpu gpu-bundle gpu-test demo test test-long bench install asan tidy format format-check clean

all: configure
	cmake --build $(BUILD) -j $(JOBS)

help:
	@echo 'make deps       install what is missing (Debian), or say what to install'
	@echo 'make            build the library, the programs ($(BUILD)/bin) and the tests'
	@echo 'make gpu        the same with the cuDNN backend, in $(BUILD)-gpu; needs CUDA and cuDNN'
	@echo 'make gpu-test   is the cuDNN backend right on this machine'"'"'s GPU, and how fast; minutes'
	@echo 'make gpu-bundle packs what gpu-test needs elsewhere: gpu-bundle.tar.gz'
	@echo 'make demo       search and train on real images (Fashion-MNIST), about ten minutes'
	@echo 'make test       the tests; make test-long: fuzzing, kills and races as well'
	@echo 'make bench      benchmarks'
	@echo 'make install    headers, librenas.a, CMake package, renas.pc, programs to PREFIX'
	@echo 'make asan       the tests under the address and undefined-behaviour sanitizers'
	@echo 'make tidy       clang-tidy over library and programs: names, likely mistakes'
	@echo 'make format     clang-format 14 over all C++; make format-check only looks'
	@echo 'make clean      remove $(BUILD)'

deps:
	sh cmake/deps.sh

configure:
	@$(CONFIGURE) > /dev/null || $(CONFIGURE)

demo: deps configure
	cmake --build $(BUILD) -j $(JOBS) --target demo

test: deps all
	ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS) -LE long

test-long: deps all
	ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS)
	.ci/emulated_gpu
	BUILD=$(BUILD) JOBS=$(JOBS) .ci/emulated_gpu_races
	BUILD=$(BUILD) JOBS=$(JOBS) .ci/emulated_gpu_addresses
	BUILD=$(BUILD) JOBS=$(JOBS) .ci/gpu_build

gpu:
	$(MAKE) all BUILD=$(BUILD)-gpu CMAKE_ARGS='-DRENAS_CUDA=ON $(CMAKE_ARGS)'

gpu-bundle:
	JOBS=$(JOBS) CMAKE_ARGS='$(CMAKE_ARGS)' tests/gpu/bundle.sh $(BUILD)-gpu-bundle gpu-bundle

gpu-test:
	python3 tests/gpu/gpu_test.py --build $(BUILD)-gpu-test $(GPU_TEST_ARGS)

bench: configure
	cmake --build $(BUILD) -j $(JOBS) --target bench

install: configure
	cmake --build $(BUILD) -j $(JOBS) --target install

asan:
	$(MAKE) test BUILD=$(BUILD)-asan \
	  CMAKE_ARGS='-DRENAS_SANITIZE=address,undefined -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	    -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g" $(CMAKE_ARGS)'

tidy: configure
	cmake --build $(BUILD) --target tidy

format:
	sh cmake/format.sh --fix

format-check:
	@sh cmake/format.sh

clean:
	rm -rf $(BUILD) $(BUILD)-asan demo
