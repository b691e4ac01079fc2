"""Tests of the gateway; they mirror its folders."""
