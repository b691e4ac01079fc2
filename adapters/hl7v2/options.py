"""Options of the hl7v2 adapter: of a source in yifang.toml, and of a source profile."""

from __future__ import annotations

import ipaddress

from pydantic import BaseModel, ConfigDict, Field, field_validator

from adapters.hl7v2.header import Header


class Options(BaseModel):
    """[source.options]: one MLLP port."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="监听地址; 医院内网可写 0.0.0.0, 此时必须写 peers。")
    port: int = Field(2575, ge=0, le=65535, description="监听端口, 每个来源一个; 0 由系统选择。")
    peers: list[str] = Field(default_factory=lambda: ["127.0.0.0/8", "::1/128"], description="允许连接的地址或网段(CIDR)。")
    applications: list[str] = Field(default_factory=list, description="允许的 MSH-3.1(发送应用); 空为不检查。")
    facilities: list[str] = Field(default_factory=list, description="允许的 MSH-4.1(发送机构); 空为不检查。")
    max_frame: int = Field(16 << 20, ge=1024, description="最大报文字节数; 更大的答 AR, 只保留开头和摘要。")
    max_connections: int = Field(256, ge=1, description="同时连接数上限。")
    idle: float = Field(0, ge=0, description="多少秒没有收到数据就断开; 0 为不断开。")
    name: str = Field("YIFANG", description="应答里的 MSH-3(本网关的应用名)。")

    @field_validator("peers")
    @classmethod
    def _networks(cls, peers: list[str]) -> list[str]:
        for peer in peers:
            try:
                ipaddress.ip_network(peer, strict=False)
            except ValueError as e:
                raise ValueError(f"`{peer}` 不是地址或网段, 例如 10.1.2.0/24") from e
        return peers

    def admits(self, address: str) -> bool:
        """Whether this peer may connect."""
        try:
            peer = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(peer, "ipv4_mapped", None)
        return any((mapped or peer) in ipaddress.ip_network(n, strict=False) for n in self.peers)


class QualityControl(BaseModel):
    """Which messages are quality control (室内质控) and not a patient's: a field of MSH has this value, or one of these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str = Field("MSH-16", pattern=r"^MSH-\d{1,2}$", description="区分质控报文的 MSH 字段。")
    value: str | list[str] = Field("2", description="表示质控的值, 可写多个。")

    def matches(self, head: Header) -> bool:
        """Whether this message is quality control."""
        values = [self.value] if isinstance(self.value, str) else self.value
        return head.field(int(self.field.partition("-")[2])) in values


class ProfileOptions(BaseModel):
    """[options] of a source profile."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    message: list[str] = Field(default_factory=list, description="接收的报文, 例如 ORU^R01; 通常写在 profile 的 message。")
    record_by: str = Field("", description="一条报文里有多份报告时, 按此字段的值分成多条记录(它的位置应在段组内)。")
    quality_control: QualityControl | None = Field(None, description="质控报文的标记; 命中的进 quality_control 表, 不进居民档案。")
