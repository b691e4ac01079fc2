"""Why a Subscription is not served, in sentences for people: in Subscription.error, `$status`, `yifang doctor`."""

from __future__ import annotations

from gateway.upstream.hook import Refusal

__all__ = ["CALLER_GONE", "ENDED", "FOREIGN", "GAVE_UP", "INTERNAL", "REFUSED", "told"]

NEXT = "处理后请订阅方把 status 改为 requested, 或运行 `yifang subscriptions restart 编号`"
FOREIGN = f"active 与 error 只能由网关写入; {NEXT}"
CALLER_GONE = f"提出订阅的客户端已不在 yifang.toml 的 [[client]] 里, 不再通知; {NEXT}"
ENDED = "已到 Subscription.end 的时刻, 订阅结束"
GAVE_UP = f"接收方连续 {{hours}} 小时没有收下通知, 已停止: {{reason}}; 未发的事件都还在, {NEXT}"
REFUSED = f"{{reason}}; {NEXT}"
INTERNAL = "网关内部错误, 已记入日志, 稍后自动重试"
_TEXTS = {
    "timeout": "接收方在限定时间内没有应答; 请检查它是否在运行",
    "connection": "连不上接收方; 请检查地址、网络和接收服务",
    "tls": "接收方的 TLS 证书未通过校验; 请检查证书, 或 yifang.toml 的 notify.verify",
    "redirect": "接收方转向了别的地址; 请把 channel.endpoint 改为最终地址",
    "401": "接收方要求认证(401); 请检查 channel.header 里的令牌",
    "403": "接收方拒绝了通知(403); 请接收方放行, 或检查 channel.header 里的令牌",
    "404": "接收地址不存在(404); 请检查 channel.endpoint",
    "410": "接收地址已停用(410); 请检查 channel.endpoint",
}


def told(refusal: Refusal) -> str:
    """What a receiver did, and what to look at."""
    return _TEXTS.get(refusal.code, f"接收方答复 {refusal.code}; 请查看接收服务的日志")
