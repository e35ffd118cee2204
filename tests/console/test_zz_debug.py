from playwright.async_api import Browser
from proof.browser import window
from proof.world import OWNER, World
async def test_debug(furnished: World, console_browser: Browser) -> None:
    world = furnished
    officer = await world.person(OWNER, "officer")
    async with window(console_browser, world, officer, "/field", width=390, height=844) as page:
        await page.get_by_test_id("field").wait_for()
        print("URL", page.url)
        print(await page.evaluate("""async () => { try { const r = await navigator.serviceWorker.register('/field-shell.js',{scope:'/field'}); await new Promise(d=>setTimeout(d,3000)); return [isSecureContext, r.installing?.state, r.active?.state].join() } catch (e) { return String(e) } }"""))
        print(await page.evaluate("""async () => { const t = await (await fetch('/field-shell.js')).text(); const files = JSON.parse(t.match(/JSON.parse\\(`(.*?)`\\)/)[1].replaceAll('\\\\"','"')); const out=[]; for (const f of ['/field', ...files]) { const a = await fetch(f); out.push([f, a.status, a.headers.get('vary'), a.redirected].join(' ')); } return out.filter(x=>!x.includes(' 200  false')) }"""))
        assert False
